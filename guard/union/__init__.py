"""The union of all patterns that others hold, with which a hook compares: its files, its proof, and its publication."""
