"""Draws the repository as a picture that shows who holds what."""
