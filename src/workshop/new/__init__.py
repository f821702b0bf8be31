"""What lays out the files of a new lesson: ``python noxfile.py new -- SLUG``."""
