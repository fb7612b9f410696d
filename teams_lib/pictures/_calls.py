"""Draws calls: who sends what to whom, and the path that one call takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from teams_lib.pictures._card import (
    BLUE,
    BODY,
    BOLD,
    CARD,
    GREEN,
    GREY,
    MUTED,
    PAD,
    SECONDS,
    SMALL,
    VERMILLION,
    WIDEST,
    Card,
    Font,
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

Kind = Literal["headers", "message", "status", "error", "note"]

MAX_PARTICIPANTS = 6  # more cannot be read in one picture
ARROWS: dict[str, tuple[str, float, tuple[float, ...]]] = {  # kind: colour, line width, dashes
    "headers": ("#b35c8f", 1.6, ()),  # a darker purple, because a line is thin
    "message": (BLUE, 2.2, ()),
    "status": (GREEN, 1.6, ()),
    "error": (VERMILLION, 1.8, (5, 3)),
    "note": (MUTED, 1.3, (2, 2.5)),
}


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
        title: a line above the drawing, and the first of the text.
        alt: replaces the alternative text, which otherwise repeats the text.

    Returns:
        The picture. Its text holds a line for each event.

    Raises:
        ValueError: no events, a name that is no participant, an unknown kind, too many participants.

    Example:
        >>> sequence(["client", "server"], [Arrow("client", "server", "TeamRequest(city='Chicago')")])
        client → server  TeamRequest(city='Chicago')
    """
    _check_sequence(participants, events)
    return draw_sequence(SvgCard(), participants, events, title, text_of_sequence(events, title), alt)


def path_of_a_call(steps: Sequence[Step], title: str = "", *, alt: str | None = None) -> Picture:
    """Draw the steps of a call as a path between the places where they happen.

    Args:
        steps: in order. Each place becomes a column, in order of first appearance; a time is drawn where it is known.
        title: a line above the drawing, and the first of the text.
        alt: replaces the alternative text, which otherwise repeats the text.

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
    text = with_title(title, columns(rows))

    card = PngCard()
    top = card.title(title)
    colours = colours_of(places)
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
        card.box(x - half, y, x + half, bottom, fill="#ffffff", edge=line_of(colours[step.where]))
        card.text(x - half + 12, card.text(x - half + 12, y + 8, name, BOLD) + 2, note, SMALL, colour=MUTED)
        card.text(x + half - 12, y + 8, [time], colour=BLUE, align="right")
        if before:
            side = before[0] + math.copysign(half + 2, x - before[0])
            down = [(x, before[2] + 2)] if x == before[0] else [(side, before[1]), (x, before[1])]
            card.arrow([*down, (x, y - 2)], MUTED, 1.5)
        before = (x, (y + bottom) / 2, bottom)
        y = bottom + 20
    for place, x in middles.items():
        card.box(x - column / 2 + 4, top, x + column / 2 - 4, y - 8, fill=tint(colours[place], 0.13), z=1)
        card.text(x, top + 19, [place], BOLD, align="center", middle=True)
    times = [_duration(step.seconds) for step in steps]
    drawn = [f"{where}: {what}{time and f', {time}'}" for (where, what), time in zip(rows, times, strict=True)]
    return card.picture("Path of a call", text, alt, bottom=y - 8, drawn=drawn)


def text_of_sequence(events: Sequence[Arrow | Note], title: str) -> str:
    """A line for each event: who sends to whom, and what."""
    parties = [f"{e.source} → {e.target}" if isinstance(e, Arrow) else e.at for e in events]
    return with_title(title, columns((who, event.label) for who, event in zip(parties, events, strict=True)))


def draw_sequence(
    card: Card,
    participants: Sequence[str],
    events: Sequence[Arrow | Note],
    title: str,
    text: str,
    alt: str | None = None,
) -> Picture:
    """Draw a sequence on a card of any format."""
    xs, heads = _lifelines(card, participants, events)
    top = card.title(title)
    bottom = top + max(len(lines) for lines in heads.values()) * BOLD.line + 14
    colours = colours_of(participants)
    for name, x in xs.items():
        half = card.widest(heads[name], BOLD) / 2 + 14
        card.box(x - half, top, x + half, bottom, fill=tint(colours[name]), edge=line_of(colours[name]))
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
            font = _font(event)
            lines, x = card.wrap(event.label, abs(stop - start) - 30, font), (start + stop) / 2
            half = card.widest(lines, font) / 2 + 4
            card.box(x - half, y, x + half, y + len(lines) * font.line, fill=CARD, z=2)  # hides lifelines it crosses
            y = card.text(x, y, lines, font, align="center") + 7
            inset = math.copysign(3, stop - start)
            hollow, last = event.kind == "headers", event.kind == "status"
            card.arrow([(start + inset, y), (stop - inset, y)], colour, width, dashes, hollow=hollow, last=last)
            y += 18
    for x in xs.values():
        card.line([(x, bottom), (x, y)], line_of(GREY), z=1)
    return card.picture("Sequence diagram", text, alt, bottom=y)


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
    card: Card, participants: Sequence[str], events: Sequence[Arrow | Note]
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
                gaps[left] = max(
                    gaps[left], min(card.measure(event.label, _font(event)) + 48, 600 if between == 1 else 480)
                )
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


def _font(arrow: Arrow) -> Font:
    """Headers begin something: they stand out as headings do."""
    return BOLD if arrow.kind == "headers" else BODY


def _note_width(xs: Mapping[str, float]) -> float:
    """Of its text: a note may reach over the next lifeline, not over the one after."""
    return min(180.0, 1.5 * min(b - a for a, b in itertools.pairwise(xs.values())))


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    unit = next((unit for unit in ("s", "ms") if seconds >= SECONDS[unit]), "µs")
    return f"{short_number(seconds / SECONDS[unit])} {unit}"
