"""The static census: what must hold of pages, lessons and names before anything runs.

A check yields complaints; each names a place, what is wrong there and what to do, and stands there once.
"""
