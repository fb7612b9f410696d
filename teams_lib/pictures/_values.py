"""Draws values: bytes by what they mean, and measurements as bars."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teams_lib.pictures._card import (
    ASCII,
    BLUE,
    BODY,
    BOLD,
    GREY,
    GRID,
    HEX,
    MUTED,
    PAD,
    SMALL,
    WIDTH,
    Card,
    Picture,
    colours_of,
    columns,
    line_of,
    short_number,
    tint,
    with_title,
)
from teams_lib.pictures._png import PngCard
from teams_lib.pictures._svg import SvgCard

MAX_BYTES = 384  # more cannot be read in one picture
UNKNOWN = "(not described)"  # the bytes of no field


@dataclass(frozen=True)
class Field:
    """The bytes `data[start:end]`, what they are, and what they say."""

    start: int
    end: int
    label: str
    value: str = ""


def byte_fields(
    data: bytes, fields: Sequence[Field], title: str = "", *, more: int = 0, alt: str | None = None
) -> Picture:
    """Draw bytes in hex and ASCII, coloured by what they mean.

    Args:
        data: 1 to 384 bytes.
        fields: what the bytes are, without overlaps. Bytes of no field stay grey. Labels that are the same
            up to a colon and a space have the same colour: "city: key" and "city".
        title: a line above the drawing, and the first of the text.
        more: how many bytes come after these, which are not drawn.
        alt: replaces the alternative text, which otherwise repeats the text.

    Returns:
        The picture. Its text is a table with a line for each field.

    Raises:
        ValueError: no bytes or too many, a field outside of the data, fields that overlap.

    Example:
        >>> byte_fields(bytes.fromhex("0a0141"), [Field(0, 1, "tag", "field 1"), Field(2, 3, "city", "A")])
        0a | tag: field 1
        01 | (not described)
        41 | city: A
    """
    if not 1 <= len(data) <= MAX_BYTES:
        raise ValueError(f"Draws 1 to {MAX_BYTES} bytes, not {len(data)}: pass a slice of the data.")
    described = _cover(len(data), fields)
    labels = {part.start: f"{part.label}: {part.value}" if part.value else part.label for part in described}
    rows = columns(((_hex(data[p.start : p.end]), labels[p.start]) for p in described), between=" | ")
    rest = [f"… {more} more bytes"] if more else []
    text = with_title(title, rows + rest)

    card, cell, tall, left = SvgCard(), 27, 42, PAD + 44
    per_row = 16 if len(data) <= 64 else 24
    card.width = 700 if per_row == 16 else WIDTH
    colours = colours_of(map(_group, fields)) | {UNKNOWN: GREY}
    y = card.title(title)
    for row in range(0, len(data), per_row):
        end = min(row + per_row, len(data))
        card.text(PAD, y + 14, [f"{row:04x}"], ASCII, colour=MUTED, middle=True)
        callouts = []
        for part in described:
            first, last = max(part.start, row), min(part.end, end)
            if first < last:
                colour, x0, x1 = colours[_group(part)], left + (first - row) * cell, left + (last - row) * cell
                card.box(x0 + 1, y, x1 - 1, y + tall, fill=tint(colour), radius=4)
                card.line([(x0 + 3, y + tall + 4), (x1 - 3, y + tall + 4)], line_of(colour), 3)
                if first == part.start and part.label != UNKNOWN:
                    callouts.append((x0 + cell / 2, labels[part.start]))
        middles = [left + (i + 0.5) * cell for i in range(end - row)]
        card.cells(middles, y + 18.5, [f"{byte:02x}" for byte in data[row:end]], HEX)
        card.cells(middles, y + 35, [chr(byte) if 32 < byte < 127 else "·" for byte in data[row:end]], ASCII)
        y = _draw_callouts(card, callouts, y + tall + 6) + 14
    y = card.text(left, y - 6, rest, colour=MUTED) + 14 if rest else y
    return card.picture("Bytes by field", text, alt, bottom=y - 14)


def bars(
    values: Mapping[str, float],
    unit: str = "",
    title: str = "",
    *,
    text: str,
    log: bool = False,
    alt: str | None = None,
) -> Picture:
    """Draw measured values as horizontal bars.

    Args:
        values: a value for each name, zero or more.
        unit: written after each value, such as "calls/s".
        title: a line above the drawing.
        text: the text equivalent: what holds on every run, because the values do not.
        log: a logarithmic scale, for values that differ by orders of magnitude.
        alt: replaces the alternative text, which otherwise repeats the text.

    Returns:
        The picture. Its values are in the image only.

    Raises:
        ValueError: no values, a negative one, a zero on a logarithmic scale, an empty text.

    Example:
        >>> bars({"unary": 3204, "stream": 13501}, unit="messages/s", text="A stream is faster: True")
        A stream is faster: True
    """
    if not values:
        raise ValueError("Bars need at least one value.")
    for name, value in values.items():
        if not math.isfinite(value) or value < 0 or (log and value == 0):
            raise ValueError(f"The bar {name!r} is {value}: give zero or more, and more than zero where log=True.")
    if not text.strip():
        raise ValueError("Bars need text=: what they show on every run, without the measured numbers.")

    card = PngCard()
    y = top = card.title(title)
    names = {name: card.wrap(name, 230) for name in values}
    shown = {name: f"{short_number(value)} {unit}".rstrip() for name, value in values.items()}
    left = PAD + card.widest(itertools.chain(*names.values())) + 14
    right = card.width - PAD - card.widest(shown.values(), BOLD) - 10
    if log:  # has no natural zero: the axis starts at the power of ten below the smallest value
        values = {name: math.log10(value) for name, value in values.items()}
    low = math.ceil(min(values.values())) - 1 if log else 0
    high = math.ceil(max(values.values())) if log else max(values.values()) or 1
    for name, value in values.items():
        height = max(30.0, len(names[name]) * BODY.line + 10)
        end = left + (value - low) / (high - low) * (right - left)
        card.text(left - 14, y + height / 2, names[name], align="right", middle=True)
        card.box(left, y + 5, end, y + height - 5, fill=tint(BLUE, 0.45), edge=BLUE, radius=3)
        card.text(end + 10, y + height / 2, [shown[name]], BOLD, middle=True)
        y += height
    card.line([(left, top), (left, y)], MUTED)
    if log:
        card.line([(left, y), (right, y)], MUTED)
        for power in range(low, math.ceil(high) + 1, math.ceil((high - low) / 8)):
            x = left + (power - low) / (high - low) * (right - left)
            card.line([(x, top), (x, y)], GRID, z=1)
            card.text(x, y + 5, [short_number(10.0**power)], SMALL, colour=MUTED, align="center")
        y = card.text(left, y + 24, ["logarithmic scale"], SMALL, colour=MUTED)
    drawn = [f"{name}: {value}" for name, value in shown.items()]
    drawn += [*(["logarithmic scale"] if log else []), *text.splitlines()]
    return card.picture("Bar chart", text, alt, bottom=y, drawn=drawn)


def _cover(size: int, fields: Sequence[Field]) -> list[Field]:
    """Return the fields in order, with the gaps between them as fields of their own."""
    covered: list[Field] = []
    at = 0
    for part in sorted(fields, key=lambda part: part.start):
        if not 0 <= part.start < part.end <= size:
            raise ValueError(f"The field {part.label!r} ({part.start} to {part.end}) is not within the {size} bytes.")
        if part.start < at:
            raise ValueError(f"The field {part.label!r} starts at {part.start}, inside the field before it.")
        covered += [Field(at, part.start, UNKNOWN)] if part.start > at else []
        covered.append(part)
        at = part.end
    return covered + ([Field(at, size, UNKNOWN)] if at < size else [])


def _group(field: Field) -> str:
    """Fields of one group have one colour."""
    return field.label.partition(": ")[0]


def _draw_callouts(card: Card, labels: Sequence[tuple[float, str]], y: float) -> float:
    """Write each label below its x as a staircase, so that no leader crosses a text; return the bottom."""
    start = y
    placed: list[tuple[int, float, list[str]]] = []  # level, x, lines
    for x, label in reversed(labels):
        lines = card.wrap(label, min(460, card.width - PAD - x))
        end = x + card.widest(lines) + 14
        level = max((deep + 1 for deep, other, _ in placed if other < end), default=0)
        placed.append((level, x, lines))
    for level in sorted({level for level, _, _ in placed}):
        y += 5
        bottoms = []
        for _, x, lines in (item for item in placed if item[0] == level):
            card.line([(x, start), (x, y)], line_of(GREY), 1.2)
            bottoms.append(card.text(x - 3, y + 1, lines))
        y = max(bottoms)
    return y


def _hex(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 16 else f"{data[:12].hex(' ')} … ({len(data)} bytes)"
