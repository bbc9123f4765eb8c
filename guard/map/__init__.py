"""The repository as a picture: who holds what, and where."""
