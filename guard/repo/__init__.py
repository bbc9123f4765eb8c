"""The repository: git, places, settings, changes."""
