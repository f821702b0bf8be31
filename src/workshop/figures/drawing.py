"""Boxes, arrows and texts, in the units of a telephone: there one is about one pixel.

Colours are classes of `site.css`; the home of a value, or another thing that a figure tells apart, is such a class.
Without that style sheet a figure is a drawing of lines.
"""

import functools
import html
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import ImageFont

WIDTH = 340
_EDGE = 1  # what a line is drawn beside its place
_SIZES = {"": 12.0, "code": 11.0, "soft": 11.0, "strong": 12.0}
_FONTS = {"code": "DejaVuSansMono.ttf", "strong": "DejaVuSans-Bold.ttf"}


class Point(NamedTuple):
    """A place in a drawing."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle in a drawing: where it begins, and how large it is."""

    x: float
    y: float
    width: float
    height: float

    def at(self, across: float = 0.5, down: float = 0.5) -> Point:
        """Return a point of it, by the share of its width and of its height."""
        return Point(self.x + across * self.width, self.y + down * self.height)


@dataclass(frozen=True)
class Figure:
    """A figure as it is published.

    Attributes:
        svg: the picture, one element.
        description: what it shows, for those who do not see it.
        caption: what it says.
    """

    svg: str
    description: str
    caption: str


class Drawing:
    """What is drawn so far; it is as high as what is in it."""

    def __init__(self) -> None:
        self._shapes: list[str] = []
        self._texts: list[str] = []
        self._height = 0.0

    def box(self, x: float, y: float, width: float, height: float, home: str = "", text: str = "") -> Box:
        """Draw a rectangle with a text in its middle, which is a name in code.

        Args:
            x: where it begins.
            y: where it begins, downwards.
            width: how wide it is.
            height: how high it is.
            home: the class of its colour.
            text: what stands in it.

        Raises:
            ValueError: If the text does not fit.
        """
        box = Box(x, y, width, height)
        place = f'x="{_told(x)}" y="{_told(y)}" width="{_told(width)}" height="{_told(height)}"'
        self._shapes.append(f'<rect {place} rx="3"{_class(home)}/>')
        self._reach(box)
        if text:
            self.text(box.at(), text, "code", width=width - 6)
        return box

    def text(
        self, place: tuple[float, float], words: str, kind: str = "", *, align: str = "middle", width: float = WIDTH
    ) -> None:
        """Write words.

        Args:
            place: a point halfway up the words.
            words: what is written.
            kind: `code`, `soft`, `strong` or nothing.
            align: which part of the words the point is: `start`, `middle` or `end`.
            width: what there is room for.

        Raises:
            ValueError: If they do not fit, or leave the drawing.
        """
        x, y = place
        long = length(words, kind)
        left = x - {"start": 0.0, "middle": long / 2, "end": long}[align]
        if long > width or left < 0 or left + long > WIDTH:
            raise ValueError(f"{words!r} is {long:.0f} wide and begins at {left:.0f}, for {width:.0f} of {WIDTH}.")
        anchor = "" if align == "middle" else f' text-anchor="{align}"'
        size = "" if _SIZES[kind] == _SIZES[""] else f' font-size="{_SIZES[kind]:g}"'
        family = ' font-family="monospace"' if kind == "code" else ""
        at = f'x="{_told(x)}" y="{_told(y)}"'
        self._texts.append(f"<text {at}{anchor}{size}{family}{_class(kind)}>{html.escape(words, quote=False)}</text>")
        self._reach(Box(left, y - 8, long, 16))

    def line(self, *points: tuple[float, float], home: str = "") -> None:
        """Draw a line through points."""
        steps = "L".join(_pair(*point) for point in points)
        self._shapes.append(f'<path d="M{steps}"{_class(home)}/>')
        for x, y in points:
            self._reach(Box(x, y, 0, 0))

    def arrow(self, start: tuple[float, float], end: tuple[float, float], home: str = "") -> None:
        """Draw an arrow; one that goes aslant begins and ends level."""
        (x, y), (to_x, to_y) = start, end
        way, turn = "L", math.atan2(to_y - y, to_x - x)
        if x != to_x and y != to_y:
            middle = (x + to_x) / 2
            way, turn = f"C{_pair(middle, y)} {_pair(middle, to_y)} ", 0.0 if to_x > x else math.pi
        barbs = [(to_x - 6 * math.cos(turn + side), to_y - 6 * math.sin(turn + side)) for side in (0.5, -0.5)]
        head = "L".join(_pair(*point) for point in (barbs[0], end, barbs[1]))
        self._shapes.append(f'<path d="M{_pair(x, y)}{way}{_pair(to_x, to_y)}M{head}"{_class(home)}/>')
        self._reach(Box(x, y, to_x - x, to_y - y))

    def cross(self, place: tuple[float, float]) -> None:
        """Draw the sign that something ends here."""
        x, y = place
        self.line((x - 4, y - 4), (x + 4, y + 4), home="end")
        self.line((x - 4, y + 4), (x + 4, y - 4), home="end")

    def figure(self, name: str, title: str, description: str, caption: str) -> Figure:
        """Return the drawing as a figure.

        Args:
            name: the name of its file, of which its ids are made.
            title: its name.
            description: what it shows.
            caption: what it says.

        Raises:
            ValueError: If a text holds a sign that would end it in Markdown.
        """
        for text in (description, caption):
            if found := set('[]()"\n') & set(text):
                signs = ", ".join(map(repr, sorted(found)))
                raise ValueError(f"{name}: its words hold {signs}. What to do: say it without.")
        ids = [f"{name}-figure-{part}" for part in ("title", "desc")]
        size = f"{-_EDGE} {-_EDGE} {WIDTH + 2 * _EDGE} {_told(math.ceil(self._height) + 2 * _EDGE)}"
        plain = description.replace("`", "")
        return Figure(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" '
            f'aria-labelledby="{ids[0]}" aria-describedby="{ids[1]}" font-family="sans-serif" font-size="12">\n'
            f'<title id="{ids[0]}">{html.escape(title)}</title>\n'
            f'<desc id="{ids[1]}">{html.escape(plain)}</desc>\n'
            f'<g fill="none" stroke="currentColor">\n{_lines(self._shapes)}</g>\n'
            f'<g fill="currentColor" text-anchor="middle" dominant-baseline="central">\n{_lines(self._texts)}</g>\n'
            "</svg>\n",
            description,
            caption,
        )

    def _reach(self, box: Box) -> None:
        self._height = max(self._height, box.y, box.y + box.height)


def length(words: str, kind: str = "") -> float:
    """Return how long words are in a wide font: where a reader's is another one, they are hardly longer."""
    return _font(_FONTS.get(kind, "DejaVuSans.ttf")).getlength(words) * _SIZES[kind] / 100


@functools.cache
def _font(file: str) -> ImageFont.FreeTypeFont:
    basic = ImageFont.Layout.BASIC  # the other way to lay out is not on every machine
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", file), 100, layout_engine=basic)


def _told(number: float) -> str:
    return f"{round(number, 1):g}"


def _pair(x: float, y: float) -> str:
    return f"{_told(x)} {_told(y)}"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _lines(elements: list[str]) -> str:
    return "".join(f"{element}\n" for element in elements)
