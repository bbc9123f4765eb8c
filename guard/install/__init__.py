"""Puts guard's hooks into a repository, takes them out, and finds out whether they are in force."""
