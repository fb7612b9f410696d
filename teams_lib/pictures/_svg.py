"""The card as an SVG: for order and bytes, which repeat. nbval compares it byte for byte, and it needs no matplotlib.

JupyterLab and GitHub show an SVG as an image of its own, which the style of the page does not reach: the card brings
its colours along, and reads in light and dark themes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import partial
from typing import Any
from xml.etree import ElementTree

from teams_lib.pictures._card import BODY, INK, Align, Card, Font, Picture, Point

FAMILY = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
ADVANCE = 0.602  # the width of a character, in font sizes: with one width for all, measuring needs no font
ANCHORS = {"left": "start", "center": "middle", "right": "end"}
# XML has no way to write these (https://www.w3.org/TR/xml/#charsets); the ones from 7f on would be invisible.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class SvgCard(Card):
    """A card whose picture is an SVG."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn: list[tuple[float, ElementTree.Element]] = []

    def _add(self, z: float, tag: str, text: str | None = None, **attributes: object) -> None:
        values = {name.replace("_", "-"): _short(value) for name, value in attributes.items() if value is not None}
        element = ElementTree.Element(tag, values)
        element.text = text
        self._drawn.append((z, element))

    def measure(self, text: str, font: Font = BODY) -> float:
        return sum(map(_cells, visible(text))) * ADVANCE * font.size

    def write(self, x: float, baseline: float, line: str, font: Font, colour: str, align: Align) -> None:
        if not line:
            return
        self._add(
            5,
            "text",
            visible(line),
            x=x,
            y=baseline,
            font_size=font.size if font.size != BODY.size else None,
            font_weight="bold" if font.bold else None,
            fill=colour if colour != INK else None,
            text_anchor=ANCHORS[align] if align != "left" else None,
        )

    def cells(self, xs: Sequence[float], baseline: float, texts: Sequence[str], font: Font) -> None:
        """Write short texts side by side, each with its middle at an x: one element takes less room than many."""
        self._add(5, "text", y=baseline, font_size=font.size if font.size != BODY.size else None, text_anchor="middle")
        for x, text in zip(xs, texts, strict=True):
            ElementTree.SubElement(self._drawn[-1][1], "tspan", x=_short(x)).text = text

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        fill: str,
        edge: str = "none",
        radius: float = 6,
        z: float = 3,
    ) -> None:
        stroke = edge if edge != "none" else None
        rx = min(radius, (x1 - x0) / 2, (y1 - y0) / 2) or None
        self._add(z, "rect", x=x0, y=y0, width=x1 - x0, height=y1 - y0, rx=rx, fill=fill, stroke=stroke)

    def line(
        self, points: Sequence[Point], colour: str, width: float = 1, dashes: tuple[float, ...] = (), z: float = 3
    ) -> None:
        dash = " ".join(_short(length * width) for length in dashes) or None
        draw = partial(self._add, z, "polyline", points=_path(points), fill="none", stroke=colour)
        draw(stroke_width=width, stroke_dasharray=dash)

    def polygon(self, points: Sequence[Point], colour: str) -> None:
        self._add(4, "polygon", points=_path(points), fill=colour)

    def dot(self, x: float, y: float, colour: str) -> None:
        self._add(4, "circle", cx=x, cy=y, r=5, fill=colour, stroke=INK, stroke_width=0.5)

    def picture(
        self, kind: str, text: str, alt: str | None, *, bottom: float, drawn: Sequence[str] | None = None
    ) -> Picture:
        return super().picture(kind, visible(text), alt and visible(alt), bottom=bottom, drawn=drawn)

    def render(self, height: int, title: str, text: str) -> str:
        size = {"width": f"{self.width}", "height": f"{height}", "viewBox": f"0 0 {self.width} {height}"}
        font = {"font-family": FAMILY, "font-size": f"{BODY.size}", "fill": INK, "xml:space": "preserve"}
        root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"} | size | font)
        ElementTree.SubElement(root, "title").text = visible(title)
        ElementTree.SubElement(root, "desc").text = text
        root.extend(element for _, element in sorted(self._drawn, key=lambda drawn: drawn[0]))
        for element in root:
            element.tail = "\n"  # so that a change is legible in a diff
        return ElementTree.tostring(root, encoding="unicode")


def visible(text: str) -> str:
    r"""Write the characters that XML forbids as Python does: \x00."""
    return FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _cells(character: str) -> int:
    """How many cells of a terminal, and widths of a letter, a character takes."""
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _short(value: Any) -> str:
    """A number to a tenth of a pixel, without a zero at its end; anything else as it is."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0") if isinstance(value, int | float) else str(value)


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
