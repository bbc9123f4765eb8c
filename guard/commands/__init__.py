"""The command line: words into calls, answers into lines."""
