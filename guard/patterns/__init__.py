"""Patterns: what was typed, what two of them share, what they match."""
