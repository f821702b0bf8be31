"""All that is made and committed, in an order in which each maker finds made what it makes its own of."""

from pathlib import Path

from nnx_state._lessons import LESSONS
from workshop.site import (
    answers,
    downloads,
    figures,
    install,
    lessons,
    names,
    nav,
    order,
    problems,
    verdict_data,
    verdicts,
    ways,
)
from workshop.site.tree import ROOT, Tree


def made(root: Path = ROOT, repository: str = "", site: str = "") -> Tree:
    """Return the files of the repository with all that is made.

    What a lesson still lacks is left out, so that the rest can be made.

    Args:
        root: the folder that holds `mkdocs.yml`.
        repository: the address of the repository, from which pages and notebooks install the package.
        site: the address of the site, ending with a slash, for the notebooks.

    Raises:
        ValueError: If the list of lessons is wrong, or a place of what is made is gone.
    """
    if wrong := order.complaints(LESSONS) or ways.complaints(ways.WAYS, LESSONS):
        raise ValueError("\n".join(wrong))
    tree = Tree(root)
    for maker in (nav, names, figures, lessons, problems, verdicts, verdict_data, answers):
        maker.make(tree)
    install.make(tree, repository)
    downloads.make(tree, repository, site)
    return tree
