"""Where a page of the documentation is on the site."""

import re


def address(page: str, site: str = "") -> str:
    """Return the address of a page of `docs`: `lessons/linear.md#see` becomes `lessons/linear/#see`.

    Args:
        page: the file of the page, and perhaps `#` and a heading.
        site: what comes before it, such as `https://example.org/`.
    """
    file, sharp, heading = page.partition("#")
    folder = re.sub(r"(?:(^|/)index)?[.](?:md|py)$", "/", file).lstrip("/")
    return f"{site}{folder}{sharp}{heading}"
