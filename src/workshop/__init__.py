"""The tools of the workshop: what writes the site's made pages, measures releases, and changes code to see who notices.

Nothing here is part of the wheel.
"""
