"""The figures of the lessons: each is drawn from what the program of its lesson gave.

A page shows one by a line such as ``![](../assets/figures/homes.svg)``. Its words are filled in, and the file is
drawn, by `draw` of the module here that has its name.
"""
