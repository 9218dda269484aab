"""What stands in the place of a person who was erased."""

ERASED = ""
"""In events: nothing of his is left. No name and no number is empty, so it can't be mistaken for one."""
