"""The command line: it turns words into calls, and answers into lines or JSON."""
