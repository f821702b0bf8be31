"""A table that is made, between two comments of a page that is written by hand."""

from workshop.site.tree import Tree

START, END = "<!-- The table is written by `python noxfile.py generate`. -->", "<!-- end of the table -->"


def fill(tree: Tree, path: str, table: str) -> None:
    """Put a table into a page, in the place of the one that it has.

    Raises:
        ValueError: If the page does not hold each of the two comments once, in this order.
    """
    before, start, rest = tree.read(path).partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in rest or END in before + after:
        raise ValueError(f"{path}: its table has no place. What to do: write `{START}` and `{END}`, each on its line.")
    tree.make(path, f"{before}{START}\n\n{table}\n\n{END}{after}")
