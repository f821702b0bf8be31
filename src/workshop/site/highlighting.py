"""Names, operators and brackets of a program have the colour of its text, and no element of their own.

A page of pitfalls had 5,045 elements for the colours of its programs: a telephone lays each of them out.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pygments.filter import Filter
from pygments.token import Name, Operator, Punctuation, Text, Whitespace

_PLAIN = {Name, Name.Namespace, Operator, Punctuation, Whitespace, Text}


class _Plain(Filter):  # type: ignore[misc]  # it comes without types
    def filter(self, lexer: Any, stream: Iterable[tuple[Any, str]]) -> Iterator[tuple[Any, str]]:
        for kind, text in stream:
            yield Text if kind in _PLAIN else kind, text


plain = _Plain()
