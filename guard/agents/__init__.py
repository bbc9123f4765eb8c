"""Coding agents: the table of programs, their settings files, and what guard answers before an edit."""
