"""Patterns: how they are typed and stored, whether two of them can match one path, and which paths they match."""
