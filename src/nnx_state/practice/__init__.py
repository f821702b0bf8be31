"""Practice: hand out a problem, grade an attempt in a process of its own, and say which mistake it is."""
