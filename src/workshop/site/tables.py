"""A table or a list that is made, between two comments of a page that is written by hand."""

from workshop.site.tree import Tree


def comments(name: str) -> tuple[str, str]:
    """Return the comment before what is made and the one after it.

    Args:
        name: what it is, such as "table": a page may hold one of each name.
    """
    return f"<!-- The {name} is written by `python noxfile.py generate`. -->", f"<!-- end of the {name} -->"


START, END = comments("table")


def fill(tree: Tree, path: str, text: str, name: str = "table") -> None:
    """Put a table or a list into a page, in the place of the one that it has.

    Raises:
        ValueError: If the page does not hold each of the two comments once, in this order.
    """
    opens, closes = comments(name)
    before, start, rest = tree.read(path).partition(opens)
    _, end, after = rest.partition(closes)
    if not (start and end) or opens in rest or closes in before + after:
        fix = f"write `{opens}` and `{closes}`, each on its line"
        raise ValueError(f"{path}: its {name} has no place. What to do: {fix}.")
    tree.make(path, f"{before}{opens}\n\n{text}\n\n{closes}{after}")
