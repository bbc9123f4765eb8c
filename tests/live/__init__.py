"""The real coding agents, offline: each in a network of its own, with a scripted model. Run with ``--live``."""
