"""The card that every picture is drawn on: its fonts and colours, how it places text, the finished Picture.

All coordinates are CSS pixels, with y growing downwards.
"""

from __future__ import annotations

import itertools
import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Align = Literal["left", "center", "right"]
Unit = Literal["µs", "ms", "s"]
Point = tuple[float, float]


class Font(NamedTuple):
    """A font of a PNG comes with matplotlib, so that it looks the same everywhere; an SVG has one family for all."""

    file: str
    size: float

    @property
    def bold(self) -> bool:
        return "Bold" in self.file

    @property
    def line(self) -> float:
        """The height of a line of text."""
        return self.size * 1.35


TITLE, BOLD = Font("DejaVuSans-Bold.ttf", 14), Font("DejaVuSans-Bold.ttf", 12.5)
BODY, SMALL = Font("DejaVuSans.ttf", 12.5), Font("DejaVuSans.ttf", 11.5)
HEX, ASCII = Font("DejaVuSansMono.ttf", 12.5), Font("DejaVuSansMono.ttf", 11.5)

WIDTH, WIDEST = 860, 900  # of most pictures, and of any; an output cell on GitHub is about 880 wide
PAD = 24  # from the edge of the card to anything on it

CARD, EDGE, GRID, INK, MUTED = "#fbfaf6", "#dcd9cf", "#e6e3da", "#22272e", "#59616b"
# The palette of Okabe and Ito, told apart with every common form of colour blindness; the yellow is a little darker.
SKY, ORANGE, GREEN, PURPLE = "#56b4e9", "#e69f00", "#009e73", "#cc79a7"
YELLOW, BLUE, VERMILLION, GREY = "#e3d431", "#0072b2", "#d55e00", "#9aa0a6"
PALETTE = (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE, VERMILLION)
# A line is thin: where its colour is too pale for one, it is darker (WCAG 2.2, 1.4.11: 3 to 1, on the card).
DARKER = {
    SKY: "#3f8dbc",
    ORANGE: "#b47c00",
    GREEN: "#008a65",
    PURPLE: "#b35c8f",
    YELLOW: "#8f851c",
    GREY: "#7f858b",
}
# The same thing has the same colour throughout the course.
PLACES = {"client": SKY, "server": ORANGE, "network": GREY}
STATES = {"idle": GREY, "connecting": YELLOW, "ready": GREEN, "transient failure": VERMILLION, "shutdown": PURPLE}
KNOWN = PLACES | STATES
SECONDS: dict[str, float] = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Picture:
    """A drawing with its text equivalent.

    Example:
        >>> from teams_lib.pictures import bars
        >>> bars({"unary": 3204, "stream": 13501}, unit="messages/s", text="A stream is faster: True")
        A stream is faster: True
    """

    text: str
    """What the picture says, for readers without the image and for nbval."""
    alt: str
    """What a screen reader says in place of the image."""
    width: int
    """Displayed width in CSS pixels, 900 at most."""
    image: bytes | str = field(repr=False)
    """A PNG, at twice the displayed width, or the source of an SVG."""

    @property
    def mime(self) -> str:
        return "image/svg+xml" if isinstance(self.image, str) else "image/png"

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        return {self.mime: self.image, "text/plain": self.text}, {self.mime: {"width": self.width, "alt": self.alt}}


class Card(ABC):
    """The card that a picture is drawn on; cut to its height at the end."""

    def __init__(self) -> None:
        self.width = WIDTH
        self.heading = ""

    @abstractmethod
    def measure(self, text: str, font: Font = BODY) -> float:
        """The width of one line of text."""

    def widest(self, lines: Iterable[str], font: Font = BODY) -> float:
        return max((self.measure(line, font) for line in lines), default=0.0)

    def wrap(self, text: str, width: float, font: Font = BODY) -> list[str]:
        """Break text at spaces; a word too wide for a line after punctuation; and else anywhere."""

        def pieces(text: str, rules: Sequence[str]) -> Iterator[str]:
            for piece in re.split(rules[0], text):
                if len(rules) == 1 or self.measure(piece.rstrip(), font) <= width:
                    yield piece
                else:
                    yield from pieces(piece, rules[1:])

        lines = []
        for paragraph in text.split("\n"):
            line = ""
            for piece in pieces(paragraph, (r"(?<=\s)", r"(?<=[/,;=(._:-])", r"(?<=.)")):
                if line and self.measure((line + piece).rstrip(), font) > width:
                    lines.append(line.rstrip())
                    line = ""
                line += piece
            lines.append(line.rstrip())
        return lines

    def title(self, title: str) -> float:
        """Write the title; return where the drawing begins."""
        self.heading = title
        if not title:
            return PAD
        return self.text(PAD, PAD - 4, self.wrap(title, self.width - 2 * PAD, TITLE), TITLE) + 14

    def text(
        self,
        x: float,
        y: float,
        lines: Sequence[str],
        font: Font = BODY,
        *,
        colour: str = INK,
        align: Align = "left",
        middle: bool = False,
    ) -> float:
        """Write lines below y, or with their middle at y; return where they end."""
        y -= len(lines) * font.line / 2 if middle else 0
        for line in lines:
            self.write(x, y + font.size * 1.04, line, font, colour, align)
            y += font.line
        return y

    @abstractmethod
    def write(self, x: float, baseline: float, line: str, font: Font, colour: str, align: Align) -> None:
        """Write one line of text."""

    @abstractmethod
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
        """Draw a rectangle with round corners; a higher z hides a lower one."""

    @abstractmethod
    def line(
        self, points: Sequence[Point], colour: str, width: float = 1, dashes: tuple[float, ...] = (), z: float = 3
    ) -> None:
        """Draw a line through points. Dashes, and the gaps after them, are in widths of the line."""

    @abstractmethod
    def polygon(self, points: Sequence[Point], colour: str) -> None:
        """Fill the area within points."""

    def arrow(
        self,
        points: Sequence[Point],
        colour: str,
        width: float,
        dashes: tuple[float, ...] = (),
        *,
        hollow: bool = False,
        last: bool = False,
    ) -> None:
        """Draw a line with a head at its last point: a filled one, or a hollow one of two strokes.

        The last arrow of a call runs into a bar.
        """
        (x0, y0), (x, y) = points[-2:]
        length = math.hypot(x - x0, y - y0)
        dx, dy = (x - x0) / length, (y - y0) / length
        one, other = (x - 10 * dx - 5 * dy, y - 10 * dy + 5 * dx), (x - 10 * dx + 5 * dy, y - 10 * dy - 5 * dx)
        if hollow:
            self.line([*points[:-1], (x - dx, y - dy)], colour, width, dashes)
            self.line([one, (x, y), other], colour, width, z=4)
        else:
            self.line([*points[:-1], (x - 8 * dx, y - 8 * dy)], colour, width, dashes)
            self.polygon([(x, y), one, other], colour)
        if last:
            self.line([(x - 6 * dy, y + 6 * dx), (x + 6 * dy, y - 6 * dx)], colour, 2, z=4)

    @abstractmethod
    def dot(self, x: float, y: float, colour: str) -> None:
        """Draw a filled circle of 10 pixels."""

    def picture(
        self, kind: str, text: str, alt: str | None, *, bottom: float, drawn: Sequence[str] | None = None
    ) -> Picture:
        """Cut the card below what is drawn on it, and render it.

        Without `alt`, the alternative text says what is drawn, or else the text.
        """
        height = math.ceil(bottom + PAD - 4)
        self.box(1, 1, self.width - 1, height - 1, fill=CARD, edge=EDGE, radius=12, z=0)
        image = self.render(height, f"{kind}: {self.heading}" if self.heading else kind, text)
        said = text.splitlines() if drawn is None else [*filter(None, [self.heading]), *drawn]
        return Picture(text, alt or f"{kind}: {'; '.join(said)}", self.width, image)

    @abstractmethod
    def render(self, height: int, title: str, text: str) -> bytes | str:
        """The image, which says its title and text to a screen reader if its format can."""


@dataclass(frozen=True)
class Axis:
    """An axis of time, from x `left` at `earliest` to x `right` at `latest` (seconds)."""

    left: float
    right: float
    earliest: float
    latest: float
    unit: Unit

    def __post_init__(self) -> None:
        if self.unit not in SECONDS:
            raise ValueError(f"{self.unit!r} is no unit of time: choose from {', '.join(SECONDS)}.")

    @property
    def units(self) -> float:
        """The length of the axis; one unit where nothing takes any time."""
        return (self.latest - self.earliest) / SECONDS[self.unit] or 1.0

    def time(self, seconds: float) -> str:
        """A time on this axis, in words, as exactly as a picture shows it."""
        return f"{short_number(round((seconds - self.earliest) / SECONDS[self.unit], 2))} {self.unit}"

    def x(self, seconds: float) -> float:
        return self.left + (seconds - self.earliest) / SECONDS[self.unit] / self.units * (self.right - self.left)

    def draw(self, card: Card, top: float, y: float) -> float:
        """Draw the axis at y, and its grid up to top; return the bottom of its labels."""
        power = 10.0 ** math.floor(math.log10(self.units / 6))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= self.units / 6)
        card.line([(self.left, y), (self.right, y)], MUTED)
        for i in range(math.floor(self.units / step + 1e-6) + 1):
            x = self.left + i * step / self.units * (self.right - self.left)
            card.line([(x, top), (x, y)], GRID, z=1)
            card.line([(x, y), (x, y + 4)], MUTED)
            card.text(x, y + 6, [f"{i * step:,.9g} {self.unit}"], SMALL, colour=MUTED, align="center")
        return y + 6 + SMALL.line


def columns(rows: Iterable[tuple[str, str]], between: str = "  ") -> list[str]:
    """Align the second column of the text equivalent."""
    rows = list(rows)
    width = max(len(first) for first, _ in rows)
    return [f"{first:{width}}{between}{' '.join(second.split())}".rstrip() for first, second in rows]


def with_title(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *lines] if title else lines)


def short_number(value: float) -> str:
    """Three significant digits, and all the digits of a large whole part."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: the known one, or the next of the palette that is still free.

    A name is known as a whole, or by one word of it if no other name has that word: "server hands over".
    """
    keys = {name: name.lower().replace("_", " ") for name in names}
    words = {name: set(re.findall(r"\w+", key)) & set(PLACES) for name, key in keys.items()}
    often = Counter(itertools.chain.from_iterable(words.values()))
    known = {name: PLACES[word] for name, found in words.items() for word in found if often[word] == 1 == len(found)}
    known |= {name: KNOWN[key] for name, key in keys.items() if key in KNOWN}
    free = itertools.cycle([colour for colour in PALETTE if colour not in known.values()] or PALETTE)
    return {name: known[name] if name in known else next(free) for name in keys}


def line_of(colour: str) -> str:
    """The colour for lines, edges and dots."""
    return DARKER.get(colour, colour)


def tint(colour: str, strength: float = 0.32) -> str:
    """Mix a colour with white, so that dark text stays legible on it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * strength):02x}" for part in parts)
