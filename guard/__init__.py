"""guard: git hooks that refuse commits and pushes of paths somebody else has reserved."""

__version__ = "0.2.0.dev0"
