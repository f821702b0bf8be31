"""All that is made and committed, in an order in which each maker finds made what it makes its own of."""

from pathlib import Path

from nnx_state._lessons import LESSONS
from workshop.site import downloads, lessons, names, nav, order, problems, verdict_data, verdicts
from workshop.site.tree import ROOT, Tree


def made(root: Path = ROOT, repository: str = "", site: str = "") -> Tree:
    """Return the files of the repository with all that is made.

    What a lesson still lacks is left out, so that the rest can be made.

    Args:
        root: the folder that holds `mkdocs.yml`.
        repository: the address of the repository, for the notebooks.
        site: the address of the site, ending with a slash, for the notebooks.

    Raises:
        ValueError: If the list of lessons is wrong, or a place of what is made is gone.
    """
    if wrong := order.complaints(LESSONS):
        raise ValueError("\n".join(wrong))
    tree = Tree(root)
    for maker in (nav, names, lessons, problems, verdicts, verdict_data):
        maker.make(tree)
    downloads.make(tree, repository, site)
    return tree
