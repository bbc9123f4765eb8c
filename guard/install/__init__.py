"""guard's hooks in, out, and in force?"""
