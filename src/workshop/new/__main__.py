"""Lay out the files of a lesson and put it into the list: ``python -m workshop.new SLUG``.

Nothing that is there is overwritten. Of a lesson that stands in the list already, the files that it lacks are laid out.
"""

import argparse
import sys

from nnx_state._lessons import LESSONS, Lesson
from workshop.new.lesson import RefusedError, lay_out
from workshop.site.tree import Tree


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and lay out a lesson."""
    parser = argparse.ArgumentParser(prog="python noxfile.py new --", description=__doc__)
    parser.add_argument("slug", help="the word that names the lesson everywhere, such as own-types")
    parser.add_argument("--title", help="the heading of its page; by default its words")
    parser.add_argument("--question", default="WRITE: the question that its page answers.", help="what it answers")
    parser.add_argument("--after", default=LESSONS[-1].slug, metavar="SLUG", help="the lesson before it, or the last")
    parser.add_argument("--needs", default=[], nargs="+", metavar="SLUG", help="the lessons that it builds on")
    options = parser.parse_args(arguments)
    title = options.title or options.slug.replace("-", " ").capitalize()
    tree = Tree()
    try:
        lay_out(tree, Lesson(options.slug, title, options.question, tuple(options.needs)), options.after)
    except RefusedError as refused:
        sys.exit(str(refused))
    for path in tree.write():
        print(f"written: {path}")
    print("`python noxfile.py missing` says what is left to write.")


if __name__ == "__main__":
    main()
