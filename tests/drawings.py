"""Reads the SVG of a picture back: its text, where it is, and whether it can be read."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from teams_lib.pictures import Picture
from teams_lib.pictures._card import Font
from teams_lib.pictures._svg import SvgCard

NAME = "{http://www.w3.org/2000/svg}"


class Text(NamedTuple):
    """A piece of text on one line, and its box."""

    text: str
    colour: str
    x0: float
    y0: float
    x1: float
    y1: float


def svg(picture: Picture) -> ElementTree.Element:
    """The root of a picture's SVG."""
    assert isinstance(picture.image, str)
    return ElementTree.fromstring(picture.image)


def number(element: ElementTree.Element, name: str, default: float = 0) -> float:
    """The value of an attribute."""
    return float(element.get(name, default))


def texts(root: ElementTree.Element) -> Iterator[Text]:
    """All text that is drawn."""
    for line in root.iter(f"{NAME}text"):
        size, y = number(line, "font-size", 12.5), number(line, "y")
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[line.get("text-anchor", "start")]
        colour = line.get("fill", root.get("fill", ""))
        for piece in line.findall(f"{NAME}tspan") or [line]:
            text = piece.text or ""
            width = SvgCard().measure(text, Font("", size))
            x = number(piece, "x") - width * share
            yield Text(text, colour, x, y - 0.8 * size, x + width, y + 0.2 * size)


def assert_placed(picture: Picture) -> None:
    """All text lies within the card, and on no other text."""
    root = svg(picture)
    found = list(texts(root))

    assert picture.width <= 900
    for text in found:
        assert 20 <= text.x0 <= text.x1 <= picture.width - 20, text
        assert 14 <= text.y0 <= text.y1 <= number(root, "height") - 14, text
    for a, b in itertools.combinations(found, 2):
        assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0, (a, b)


def assert_legible(root: ElementTree.Element) -> None:
    """All text of an SVG stands out from the topmost box below it: WCAG 2.2, 1.4.3."""
    for text in texts(root):
        x, y = (text.x0 + text.x1) / 2, (text.y0 + text.y1) / 2
        below = [
            box.get("fill", "")
            for box in root.iter(f"{NAME}rect")
            if number(box, "x") <= x <= number(box, "x") + number(box, "width")
            and number(box, "y") <= y <= number(box, "y") + number(box, "height")
        ]
        assert contrast(text.colour, below[-1]) >= 4.5, (text, below[-1])


def contrast(one: str, other: str) -> float:
    """Of two colours, from 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
