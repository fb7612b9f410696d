"""Draws what just ran: calls, timelines, bytes, bars, states. Every picture carries its own text equivalent.

Each function returns a `Picture`. A notebook shows it as a PNG on a light card that reads in light and dark themes;
`repr` gives the text equivalent, which nbval compares. Measured times and values are in the image only.
Everywhere, `title` is a line above the drawing, and `alt` replaces the alternative text made from the text equivalent.

All coordinates in this module are CSS pixels, with y growing downwards. The PNG holds two pixels for each.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.font_manager import FontProperties

Unit = Literal["µs", "ms", "s"]
Kind = Literal["headers", "message", "status", "error", "note"]
Point = tuple[float, float]


class Font(NamedTuple):
    """A font that matplotlib ships, so that a picture looks the same on every machine."""

    file: str
    size: float

    @property
    def line(self) -> float:
        """The height of a line of text."""
        return self.size * 1.35


TITLE, BOLD = Font("DejaVuSans-Bold.ttf", 14), Font("DejaVuSans-Bold.ttf", 12.5)
BODY, SMALL = Font("DejaVuSans.ttf", 12.5), Font("DejaVuSans.ttf", 11.5)
HEX, ASCII = Font("DejaVuSansMono.ttf", 12.5), Font("DejaVuSansMono.ttf", 11.5)

WIDTH, WIDEST = 860, 900  # of most pictures, and of any; an output cell on GitHub is about 880 wide
PAD = 24  # from the edge of the card to anything on it
MAX_PARTICIPANTS, MAX_BYTES = 6, 384  # more than these cannot be read in one picture

CARD, EDGE, GRID, INK, MUTED = "#fbfaf6", "#dcd9cf", "#e6e3da", "#22272e", "#59616b"
# The palette of Okabe and Ito, told apart with every common form of colour blindness; the yellow is a little darker.
SKY, ORANGE, GREEN, PURPLE = "#56b4e9", "#e69f00", "#009e73", "#cc79a7"
YELLOW, BLUE, VERMILLION, GREY = "#e3d431", "#0072b2", "#d55e00", "#9aa0a6"
PALETTE = (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE, VERMILLION)
# The same thing has the same colour throughout the course.
PLACES = {"client": SKY, "server": ORANGE, "network": GREY}
STATES = {"idle": GREY, "connecting": YELLOW, "ready": GREEN, "transient failure": VERMILLION, "shutdown": PURPLE}
KNOWN = PLACES | STATES
ARROWS: dict[str, tuple[str, float, tuple[float, ...]]] = {  # kind: colour, line width, dashes
    "headers": (PURPLE, 1.6, ()),
    "message": (BLUE, 2.2, ()),
    "status": (GREEN, 1.6, ()),
    "error": (VERMILLION, 1.8, (5, 3)),
    "note": (GREY, 1.3, (2, 2.5)),
}
UNKNOWN = "(not described)"  # the bytes of no field
SECONDS: dict[str, float] = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Picture:
    """A drawing with its text equivalent.

    Example:
        >>> bars({"unary": 3204, "stream": 13501}, unit="messages/s", text="A stream is faster: True")
        A stream is faster: True
    """

    text: str
    """What the picture says, for readers without the image and for nbval."""
    alt: str
    """What a screen reader says in place of the image."""
    width: int
    """Displayed width in CSS pixels, 900 at most."""
    png: bytes = field(repr=False)
    """The image, at twice the displayed width."""

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        metadata = {"image/png": {"width": self.width, "alt": self.alt}}
        return {"image/png": self.png, "text/plain": self.text}, metadata


@dataclass(frozen=True)
class Arrow:
    """Something that travels from one participant to another."""

    source: str
    target: str
    label: str
    kind: Kind = "message"


@dataclass(frozen=True)
class Note:
    """A remark on the lifeline of one participant."""

    at: str
    label: str


@dataclass(frozen=True)
class Span:
    """Something that lasts, from `start` to `end` in seconds."""

    start: float
    end: float
    label: str = ""


@dataclass(frozen=True)
class Moment:
    """Something that happens at once, `at` seconds."""

    at: float
    label: str = ""


@dataclass(frozen=True)
class Field:
    """The bytes `data[start:end]`, what they are, and what they say."""

    start: int
    end: int
    label: str
    value: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a call: `where` it happens ("client", "network", "server") and how many seconds it takes."""

    name: str
    where: str
    seconds: float | None = None
    note: str = ""


def sequence(
    participants: Sequence[str], events: Sequence[Arrow | Note], title: str = "", *, alt: str | None = None
) -> Picture:
    """Draw a call: who sends what to whom, in order.

    Args:
        participants: two to six names, from left to right.
        events: arrows and notes, from top to bottom. The kind of an arrow sets its colour and line.

    Returns:
        The picture. Its text holds a line for each event.

    Raises:
        ValueError: no events, a name that is no participant, an unknown kind, too many participants.

    Example:
        >>> sequence(["client", "server"], [Arrow("client", "server", "TeamRequest(city='Chicago')")])
        client → server  TeamRequest(city='Chicago')
    """
    _check_sequence(participants, events)
    parties = [f"{e.source} → {e.target}" if isinstance(e, Arrow) else e.at for e in events]
    text = _text(title, _columns((who, event.label) for who, event in zip(parties, events, strict=True)))

    card = _Card()
    xs, heads = _lifelines(card, participants, events)
    top = card.title(title)
    bottom = top + max(len(lines) for lines in heads.values()) * BOLD.line + 14
    colours = _colours(participants)
    for name, x in xs.items():
        half = card.widest(heads[name], BOLD) / 2 + 14
        card.box(x - half, top, x + half, bottom, fill=_tint(colours[name]), edge=colours[name])
        card.text(x, (top + bottom) / 2, heads[name], BOLD, align="center", middle=True)
    y = bottom + 16
    for event in events:
        if isinstance(event, Note):
            lines = card.wrap(event.label, _note_width(xs))
            x, half, height = xs[event.at], card.widest(lines) / 2 + 10, len(lines) * BODY.line + 10
            card.box(x - half, y, x + half, y + height, fill="#fdf3cf", edge="#e3cf86", radius=4)
            card.text(x, y + height / 2, lines, align="center", middle=True)
            y += height + 16
        else:
            start, stop = xs[event.source], xs[event.target]
            colour, width, dashes = ARROWS[event.kind]
            lines, x = card.wrap(event.label, abs(stop - start) - 30), (start + stop) / 2
            half = card.widest(lines) / 2 + 4
            card.box(x - half, y, x + half, y + len(lines) * BODY.line, fill=CARD, z=2)  # hides lifelines it crosses
            y = card.text(x, y, lines, align="center") + 7
            inset = math.copysign(3, stop - start)
            card.arrow([(start + inset, y), (stop - inset, y)], colour, width, dashes)
            y += 18
    for x in xs.values():
        card.line([(x, bottom), (x, y)], GREY, z=1)
    return card.picture("Sequence diagram", text, alt, bottom=y)


def timeline(
    lanes: Mapping[str, Sequence[Span | Moment]],
    *,
    title: str = "",
    alt: str | None = None,
    text: str | None = None,
    unit: Unit = "ms",
) -> Picture:
    """Draw what happened when, to scale.

    Args:
        lanes: for each lane its spans and moments. Their times are seconds from any common zero, such as
            `time.perf_counter()`; the axis starts at the earliest of them.
        text: the text equivalent. Without it, the labels in order of their start. That order must repeat: where two
            things race or tie, give `text`, with what holds on every run.
        unit: of the axis: "µs", "ms" or "s".

    Returns:
        The picture. Its times are in the image only.

    Raises:
        ValueError: nothing to draw, a time that is no number, a span that ends before it starts, an unknown unit,
            no label and no `text`.

    Example:
        >>> timeline({"client": [Span(0, 0.3, "waits")], "server": [Span(0.01, 2, "works")]})
        client  waits
        server  works
    """
    spans = {lane: sorted(map(_span, items), key=lambda span: span.start) for lane, items in lanes.items()}
    everything = sorted(((lane, span) for lane in spans for span in spans[lane]), key=lambda pair: pair[1].start)
    if not everything:
        raise ValueError("A timeline needs at least one Span or Moment.")
    for lane, span in everything:
        if not (math.isfinite(span.start) and math.isfinite(span.end) and span.start <= span.end):
            raise ValueError(f"{span} in the lane {lane!r}: give its times in seconds, the end after the start.")
    if text is None:
        labelled = [(lane, span.label) for lane, span in everything if span.label]
        if not labelled:
            raise ValueError("Nothing on this timeline has a label, so it has no text equivalent: pass text=.")
        text = _text(title, _columns(labelled))

    card = _Card()
    y = top = card.title(title)
    names = {lane: card.wrap(lane, 140, BOLD) for lane in lanes}
    left = PAD + max(card.widest(lines, BOLD) for lines in names.values()) + 20
    axis = _Axis(left, card.width - PAD - 24, everything[0][1].start, max(span.end for _, span in everything), unit)
    colours = _colours(lanes)
    for lane in lanes:
        if y > top:
            card.line([(PAD, y), (card.width - PAD, y)], EDGE)
        bottom = max(_draw_lane(card, axis, colours[lane], spans[lane], y + 8), y + 12 + len(names[lane]) * BOLD.line)
        card.text(PAD, (y + 4 + bottom) / 2, names[lane], BOLD, middle=True)
        y = bottom + 4
    return card.picture("Timeline", text, alt, bottom=axis.draw(card, top, y))


def byte_fields(data: bytes, fields: Sequence[Field], title: str = "", *, alt: str | None = None) -> Picture:
    """Draw bytes in hex and ASCII, coloured by what they mean.

    Args:
        data: 1 to 384 bytes.
        fields: what the bytes are, without overlaps. Bytes of no field stay grey. The same label has the same colour.

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
    text = _text(title, _columns(((_hex(data[p.start : p.end]), labels[p.start]) for p in described), between=" | "))

    card, cell, tall, left = _Card(), 27, 42, PAD + 44
    per_row = 16 if len(data) <= 64 else 24
    card.width = 700 if per_row == 16 else WIDTH
    colours = _colours(part.label for part in fields) | {UNKNOWN: GREY}
    y = card.title(title)
    for row in range(0, len(data), per_row):
        end = min(row + per_row, len(data))
        card.text(PAD, y + 14, [f"{row:04x}"], ASCII, colour=MUTED, middle=True)
        callouts = []
        for part in described:
            first, last = max(part.start, row), min(part.end, end)
            if first < last:
                colour, x0, x1 = colours[part.label], left + (first - row) * cell, left + (last - row) * cell
                card.box(x0 + 1, y, x1 - 1, y + tall, fill=_tint(colour), radius=4)
                card.line([(x0 + 3, y + tall + 4), (x1 - 3, y + tall + 4)], colour, 3)
                if first == part.start and part.label != UNKNOWN:
                    callouts.append((x0 + cell / 2, labels[part.start]))
        for i in range(row, end):
            x = left + (i - row + 0.5) * cell
            card.text(x, y + 14, [f"{data[i]:02x}"], HEX, align="center", middle=True)
            character = chr(data[i]) if 32 < data[i] < 127 else "·"
            card.text(x, y + 31, [character], ASCII, colour=MUTED, align="center", middle=True)
        y = _draw_callouts(card, callouts, y + tall + 6) + 14
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
        text: the text equivalent: what holds on every run, because the values do not.
        log: a logarithmic scale, for values that differ by orders of magnitude.

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

    card = _Card()
    y = top = card.title(title)
    names = {name: card.wrap(name, 230) for name in values}
    shown = {name: f"{_number(value)} {unit}".rstrip() for name, value in values.items()}
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
        card.box(left, y + 5, end, y + height - 5, fill=_tint(BLUE, 0.45), edge=BLUE, radius=3)
        card.text(end + 10, y + height / 2, [shown[name]], BOLD, middle=True)
        y += height
    card.line([(left, top), (left, y)], MUTED)
    if log:
        card.line([(left, y), (right, y)], MUTED)
        for power in range(low, math.ceil(high) + 1, math.ceil((high - low) / 8)):
            x = left + (power - low) / (high - low) * (right - left)
            card.line([(x, top), (x, y)], GRID, z=1)
            card.text(x, y + 5, [_number(10.0**power)], SMALL, colour=MUTED, align="center")
        y = card.text(left, y + 24, ["logarithmic scale"], SMALL, colour=MUTED)
    return card.picture("Bar chart", text, alt, bottom=y)


def states(
    changes: Sequence[tuple[float, str]],
    end: float,
    title: str = "",
    *,
    text: str | None = None,
    alt: str | None = None,
    unit: Unit = "ms",
) -> Picture:
    """Draw the state of one thing over time, such as the connectivity of a channel.

    Args:
        changes: when each state begins, in seconds from any zero, and its name; in order.
        end: when the last state ends, in seconds.
        text: the text equivalent. Without it, the states in order; give it where that order may vary.
        unit: of the axis: "µs", "ms" or "s".

    Returns:
        The picture. Its times are in the image only.

    Raises:
        ValueError: no changes, times out of order, an end before the last change, an unknown unit.

    Example:
        >>> states([(0, "IDLE"), (0.2, "CONNECTING"), (0.21, "READY")], end=1)
        IDLE → CONNECTING → READY
    """
    if not changes:
        raise ValueError("States need at least one change: (seconds, name).")
    times = [*(at for at, _ in changes), end]
    if not all(map(math.isfinite, times)) or times != sorted(times):
        raise ValueError("The changes must be in order of time, and `end` must not come before the last of them.")
    if text is None:
        text = _text(title, [" → ".join(name for name, _ in itertools.groupby(state for _, state in changes))])

    card, tall = _Card(), 38
    y = card.title(title)
    axis = _Axis(PAD + 4, card.width - PAD - 24, times[0], end, unit)
    colours = _colours(state for _, state in changes)
    legend = dict.fromkeys(colours)  # of the states that are nowhere long enough for their name
    for (start, state), stop in zip(changes, times[1:], strict=True):
        x0, x1 = axis.x(start), max(axis.x(stop), axis.x(start) + 3)
        z = 3 if x1 - x0 > 3 else 4  # a short state stays visible beside the next one
        card.box(x0, y, x1, y + tall, fill=_tint(colours[state], 0.5), radius=0, z=z)
        card.line([(x0, y + tall), (x1, y + tall)], colours[state], 4, z=z)
        if card.measure(state) + 12 <= x1 - x0:
            card.text((x0 + x1) / 2, y + tall / 2 - 1, [state], align="center", middle=True)
            legend.pop(state, None)
    x, bottom = math.inf, axis.draw(card, y, y + tall + 2)
    for state in legend:
        lines = card.wrap(state, axis.right - axis.left - 20, SMALL)
        if x + 20 + card.widest(lines, SMALL) > axis.right:
            x, y = axis.left, bottom + 10
        card.box(x, y + 1, x + 13, y + 14, fill=_tint(colours[state], 0.5), edge=colours[state], radius=3)
        bottom = max(bottom, card.text(x + 20, y, lines, SMALL))
        x += card.widest(lines, SMALL) + 44
    return card.picture("States over time", text, alt, bottom=bottom)


def path_of_a_call(steps: Sequence[Step], title: str = "", *, alt: str | None = None) -> Picture:
    """Draw the steps of a call as a path between the places where they happen.

    Args:
        steps: in order. Each place becomes a column, in order of first appearance; a time is drawn where it is known.

    Returns:
        The picture. Its text numbers the steps; the times are in the image only.

    Raises:
        ValueError: no steps, more than four places, a negative time.

    Example:
        >>> path_of_a_call([Step("serialise", "client", 5e-7), Step("send", "network")])
        1. client   serialise
        2. network  send
    """
    places = list(dict.fromkeys(step.where for step in steps))
    if not 1 <= len(places) <= 4:
        raise ValueError(f"A path goes through one to four places, not {len(places)}.")
    for step in steps:
        if step.seconds is not None and not (math.isfinite(step.seconds) and step.seconds >= 0):
            raise ValueError(f"The step {step.name!r} takes {step.seconds} s: give zero or more, or None.")
    rows = [(f"{i}. {s.where}", f"{s.name} ({s.note})" if s.note else s.name) for i, s in enumerate(steps, 1)]
    text = _text(title, _columns(rows))

    card = _Card()
    top = card.title(title)
    colours = _colours(places)
    column = (card.width - 2 * PAD + 8) / len(places)
    middles = {place: PAD - 4 + (i + 0.5) * column for i, place in enumerate(places)}
    half = min(column / 2 - 14, 150)
    y = top + 40
    before: tuple[float, float, float] | None = None  # of the box of the step before: its x, middle and bottom
    for number, step in enumerate(steps, 1):
        x = middles[step.where]
        time = _duration(step.seconds)
        name = card.wrap(f"{number}  {step.name}", 2 * half - 36 - card.measure(time), BOLD)
        note = card.wrap(step.note, 2 * half - 24, SMALL) if step.note else []
        bottom = y + len(name) * BOLD.line + len(note) * SMALL.line + (18 if note else 16)
        card.box(x - half, y, x + half, bottom, fill="#ffffff", edge=colours[step.where])
        card.text(x - half + 12, card.text(x - half + 12, y + 8, name, BOLD) + 2, note, SMALL, colour=MUTED)
        card.text(x + half - 12, y + 8, [time], colour=BLUE, align="right")
        if before:
            side = before[0] + math.copysign(half + 2, x - before[0])
            down = [(x, before[2] + 2)] if x == before[0] else [(side, before[1]), (x, before[1])]
            card.arrow([*down, (x, y - 2)], MUTED, 1.5)
        before = (x, (y + bottom) / 2, bottom)
        y = bottom + 20
    for place, x in middles.items():
        card.box(x - column / 2 + 4, top, x + column / 2 - 4, y - 8, fill=_tint(colours[place], 0.13), z=1)
        card.text(x, top + 19, [place], BOLD, align="center", middle=True)
    return card.picture("Path of a call", text, alt, bottom=y - 8)


def _check_sequence(participants: Sequence[str], events: Sequence[Arrow | Note]) -> None:
    if not 2 <= len(participants) <= MAX_PARTICIPANTS or len(set(participants)) < len(participants):
        raise ValueError(f"A sequence needs 2 to {MAX_PARTICIPANTS} different participants, not {list(participants)}.")
    if not events:
        raise ValueError("A sequence needs at least one event: an Arrow or a Note.")
    for event in events:
        for name in (event.source, event.target) if isinstance(event, Arrow) else (event.at,):
            if name not in participants:
                raise ValueError(f"{name!r} is not one of the participants {list(participants)}.")
        if isinstance(event, Arrow) and event.source == event.target:
            raise ValueError(f"The arrow {event.label!r} ends where it starts: use Note({event.source!r}, …) instead.")
        if isinstance(event, Arrow) and event.kind not in ARROWS:
            raise ValueError(f"{event.kind!r} is no kind of arrow: choose from {', '.join(ARROWS)}.")


def _lifelines(
    card: _Card, participants: Sequence[str], events: Sequence[Arrow | Note]
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Place the lifelines as far apart as the labels between them need, and set the width of the card.

    Returns:
        The x of each lifeline, and the lines of its head.
    """
    room = WIDEST - 2 * PAD - 200  # between the first and the last; the widest note is 200
    between = len(participants) - 1
    heads = {name: card.wrap(name, min(140, room / between - 44), BOLD) for name in participants}
    halves = {name: card.widest(lines, BOLD) / 2 + 14 for name, lines in heads.items()}
    least = [halves[a] + halves[b] + 16 for a, b in itertools.pairwise(participants)]
    gaps = [max(gap, 300 if between == 1 else 150) for gap in least]
    for event in events:
        if isinstance(event, Arrow):
            left, right = sorted((participants.index(event.source), participants.index(event.target)))
            if right - left == 1:
                gaps[left] = max(gaps[left], min(card.measure(event.label) + 48, 480))
    if sum(gaps) > room:
        share = (room - sum(least)) / (sum(gaps) - sum(least))
        gaps = [low + (gap - low) * share for low, gap in zip(least, gaps, strict=True)]
    xs = dict(zip(participants, itertools.accumulate(gaps, initial=0.0), strict=True))
    for event in events:
        if isinstance(event, Note):
            lines = card.wrap(event.label, _note_width(xs))
            halves[event.at] = max(halves[event.at], card.widest(lines) / 2 + 10)
    start = min(xs[name] - halves[name] for name in participants)
    width = max(xs[name] + halves[name] for name in participants) - start
    card.width = math.ceil(max(width + 2 * PAD, 480))
    return {name: x - start + (card.width - width) / 2 for name, x in xs.items()}, heads


def _note_width(xs: Mapping[str, float]) -> float:
    """Of its text: a note may reach over the next lifeline, not over the one after."""
    return min(180.0, 1.5 * min(b - a for a, b in itertools.pairwise(xs.values())))


def _span(item: Span | Moment) -> Span:
    """A moment is drawn as the span that takes no time."""
    return item if isinstance(item, Span) else Span(item.at, item.at, item.label)


def _draw_lane(card: _Card, axis: _Axis, colour: str, spans: Sequence[Span], y: float) -> float:
    """Draw one lane in as few rows as keep its labels apart; return its bottom."""
    rows: list[list[tuple[float, float, float, list[str]]]] = [[]]  # x of start, end and label; lines of the label
    ends = [-math.inf]  # of each row: where its last item ends
    if any(span.start == span.end and not span.label for span in spans):
        ends = [math.inf]  # moments without a label share the first row, however dense they are
    for span in spans:
        x0, x1 = axis.x(span.start), axis.x(span.end)
        lines = card.wrap(span.label, max(190, x1 - x0 - 14)) if span.label else []
        wide = card.widest(lines)
        begin, end, at = x0, x1, x0 + 7
        if lines and wide + 14 > x1 - x0:  # does not fit inside: beside it
            at = x1 + 9 if x1 + 9 + wide <= axis.right + 20 else x0 - 11 - wide
            begin, end = min(x0 - 6, at), max(x1 + 6, at + wide + 14)
        if span.start == span.end and not lines:
            rows[0].append((x0, x1, at, lines))
            continue
        row = next((i for i, taken in enumerate(ends) if taken <= begin + 0.5), len(rows))
        if row == len(rows):
            rows.append([])
            ends.append(end)
        rows[row].append((x0, x1, at, lines))
        ends[row] = end
    for drawn in rows:
        height = max([20.0, *(len(lines) * BODY.line + 3 for *_, lines in drawn)])
        for x0, x1, at, lines in drawn:
            if x0 == x1:
                card.dot(x0, y + height / 2, colour)
            else:
                top, bottom = (y, y + height) if lines and x0 < at < x1 else (y + height / 2 - 10, y + height / 2 + 10)
                card.box(x0, top, max(x1, x0 + 3), bottom, fill=_tint(colour, 0.5), edge=colour, radius=3)
            card.text(at, y + height / 2, lines, middle=True)
        y += height + 6
    return y + 2


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


def _draw_callouts(card: _Card, labels: Sequence[tuple[float, str]], y: float) -> float:
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
            card.line([(x, start), (x, y)], GREY, 1.2)
            bottoms.append(card.text(x - 3, y + 1, lines))
        y = max(bottoms)
    return y


def _hex(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 16 else f"{data[:12].hex(' ')} … ({len(data)} bytes)"


def _number(value: float) -> str:
    """Three significant digits, and all the digits of a large whole part."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    unit = next((unit for unit in ("s", "ms") if seconds >= SECONDS[unit]), "µs")
    return f"{_number(seconds / SECONDS[unit])} {unit}"


def _columns(rows: Iterable[tuple[str, str]], between: str = "  ") -> list[str]:
    """Align the second column of the text equivalent."""
    rows = list(rows)
    width = max(len(first) for first, _ in rows)
    return [f"{first:{width}}{between}{' '.join(second.split())}".rstrip() for first, second in rows]


def _text(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *lines] if title else lines)


def _colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: the known one, or the next of the palette that is still free."""
    keys = {name: name.lower().replace("_", " ") for name in names}
    taken = [KNOWN[key] for key in keys.values() if key in KNOWN]
    free = itertools.cycle([colour for colour in PALETTE if colour not in taken] or PALETTE)
    return {name: KNOWN[key] if key in KNOWN else next(free) for name, key in keys.items()}


def _tint(colour: str, strength: float = 0.32) -> str:
    """Mix a colour with white, so that dark text stays legible on it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * strength):02x}" for part in parts)


@dataclass(frozen=True)
class _Axis:
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

    def x(self, seconds: float) -> float:
        return self.left + (seconds - self.earliest) / SECONDS[self.unit] / self.units * (self.right - self.left)

    def draw(self, card: _Card, top: float, y: float) -> float:
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


class _Card:
    """The card that a picture is drawn on; cut to its height at the end."""

    def __init__(self) -> None:
        # On a fresh machine matplotlib logs that it builds a cache of fonts: that would land in an output.
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        # Imported late: it takes 0.3 s. Not pyplot: it keeps figures alive and follows the notebook's settings.
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width = WIDTH
        self._folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
        self._figure = Figure(dpi=200, facecolor="none")  # 100 CSS pixels an inch, two image pixels each
        self._canvas: Any = FigureCanvasAgg(self._figure)  # its methods are not typed
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._widths: dict[tuple[str, Font], float] = {}

    def _font(self, font: Font) -> FontProperties:
        from matplotlib.font_manager import FontProperties

        return FontProperties(fname=self._folder / font.file, size=font.size * 0.72)  # in points

    def _add(self, artist: Artist, z: float) -> None:
        artist.set_zorder(z)
        self._axes.add_artist(artist)

    def measure(self, text: str, font: Font = BODY) -> float:
        """The width of one line of text."""
        if (text, font) not in self._widths:
            with _no_warnings():
                size = self._canvas.get_renderer().get_text_width_height_descent(text, self._font(font), ismath=False)
            self._widths[text, font] = size[0] / 2
        return self._widths[text, font]

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
        align: Literal["left", "center", "right"] = "left",
        middle: bool = False,
    ) -> float:
        """Write lines below y, or with their middle at y; return where they end."""
        from matplotlib.text import Text

        y -= len(lines) * font.line / 2 if middle else 0
        for line in lines:
            text = Text(x, y + font.size * 1.04, line, color=colour, fontproperties=self._font(font), usetex=False)
            text.set(horizontalalignment=align, verticalalignment="baseline", parse_math=False)
            self._add(text, 5)
            y += font.line
        return y

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
        from matplotlib.patches import FancyBboxPatch

        radius = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
        style = f"round,pad=0,rounding_size={radius}" if radius > 0.5 else "square,pad=0"
        self._add(FancyBboxPatch((x0, y0), x1 - x0, y1 - y0, style, fc=fill, ec=edge, lw=0.8), z)

    def line(
        self, points: Sequence[Point], colour: str, width: float = 1, dashes: tuple[float, ...] = (), z: float = 3
    ) -> None:
        from matplotlib.lines import Line2D

        line = Line2D(*zip(*points, strict=True), color=colour, linewidth=width * 0.72, solid_capstyle="butt")
        line.set_linestyle((0, dashes) if dashes else "-")
        self._add(line, z)

    def arrow(self, points: Sequence[Point], colour: str, width: float, dashes: tuple[float, ...] = ()) -> None:
        """Draw a line with a head at its last point."""
        from matplotlib.patches import Polygon

        (x0, y0), (x, y) = points[-2:]
        length = math.hypot(x - x0, y - y0)
        dx, dy = (x - x0) / length, (y - y0) / length
        self.line([*points[:-1], (x - 8 * dx, y - 8 * dy)], colour, width, dashes)
        head = [(x, y), (x - 10 * dx - 5 * dy, y - 10 * dy + 5 * dx), (x - 10 * dx + 5 * dy, y - 10 * dy - 5 * dx)]
        self._add(Polygon(head, facecolor=colour, edgecolor="none"), 4)

    def dot(self, x: float, y: float, colour: str) -> None:
        from matplotlib.patches import Circle

        self._add(Circle((x, y), 5, facecolor=colour, edgecolor=INK, linewidth=0.4), 4)

    def picture(self, kind: str, text: str, alt: str | None, *, bottom: float) -> Picture:
        """Cut the card below what is drawn on it, and render it."""
        from PIL import Image

        height = math.ceil(bottom + PAD - 4)
        self.box(1, 1, self.width - 1, height - 1, fill=CARD, edge=EDGE, radius=12, z=0)
        self._figure.set_size_inches(self.width / 100, height / 100)
        self._axes.set(xlim=(0, self.width), ylim=(height, 0))
        with _no_warnings():
            self._canvas.draw()
        image = Image.frombuffer("RGBA", self._canvas.get_width_height(), self._canvas.buffer_rgba())
        png = io.BytesIO()
        # 128 colours are enough for these drawings, and make the file three times smaller.
        small = image.convert("RGB").quantize(127, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        palette = small.getpalette() or []
        outside = len(palette) // 3  # a colour of its own, for what is beyond the rounded corners
        small.putpalette([*palette, 255, 255, 255])
        small.paste(outside, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
        small.save(png, "png", transparency=outside)
        return Picture(text, alt or f"{kind}: {'; '.join(text.splitlines())}", self.width, png.getvalue())


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide the warning of a character that the font lacks: it is drawn as an empty box."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
