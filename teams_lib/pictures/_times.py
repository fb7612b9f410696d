"""Draws what happened when: spans and moments on lanes, and the states of one thing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from teams_lib.pictures._card import (
    BODY,
    BOLD,
    EDGE,
    PAD,
    SMALL,
    Axis,
    Card,
    Picture,
    Unit,
    colours_of,
    columns,
    line_of,
    tint,
    with_title,
)
from teams_lib.pictures._png import PngCard


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
        title: a line above the drawing, and the first of the text unless `text` is given.
        alt: replaces the alternative text, which otherwise repeats the text.
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
    given = [] if text is None else text.splitlines()
    if text is None:
        labelled = [(lane, span.label) for lane, span in everything if span.label]
        if not labelled:
            raise ValueError("Nothing on this timeline has a label, so it has no text equivalent: pass text=.")
        text = with_title(title, columns(labelled))

    card = PngCard()
    y = top = card.title(title)
    names = {lane: card.wrap(lane, 140, BOLD) for lane in lanes}
    left = PAD + max(card.widest(lines, BOLD) for lines in names.values()) + 20
    axis = Axis(left, card.width - PAD - 24, everything[0][1].start, max(span.end for _, span in everything), unit)
    axis = replace(axis, right=_room_for_labels(card, axis, [span for _, span in everything]))
    colours = colours_of(lanes)
    for lane in lanes:
        if y > top:
            card.line([(PAD, y), (card.width - PAD, y)], EDGE)
        bottom = max(_draw_lane(card, axis, colours[lane], spans[lane], y + 8), y + 12 + len(names[lane]) * BOLD.line)
        card.text(PAD, (y + 4 + bottom) / 2, names[lane], BOLD, middle=True)
        y = bottom + 4
    drawn = [*_said(spans, axis), *given]
    return card.picture("Timeline", text, alt, bottom=axis.draw(card, top, y), drawn=drawn)


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
        title: a line above the drawing, and the first of the text unless `text` is given.
        text: the text equivalent. Without it, the states in order; give it where that order may vary.
        alt: replaces the alternative text, which otherwise repeats the text.
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
    given = [] if text is None else text.splitlines()
    if text is None:
        text = with_title(title, [" → ".join(name for name, _ in itertools.groupby(state for _, state in changes))])

    card, tall = PngCard(), 38
    y = card.title(title)
    axis = Axis(PAD + 4, card.width - PAD - 24, times[0], end, unit)
    colours = colours_of(state for _, state in changes)
    legend: dict[str, list[str]] = {state: [] for state in colours}  # of states too short for their name: when
    for (start, state), stop in zip(changes, times[1:], strict=True):
        x0, x1 = axis.x(start), max(axis.x(stop), axis.x(start) + 3)
        z = 3 if x1 - x0 > 3 else 4  # a short state stays visible beside the next one
        card.box(x0, y, x1, y + tall, fill=tint(colours[state], 0.5), radius=0, z=z)
        card.line([(x0, y + tall), (x1, y + tall)], line_of(colours[state]), 4, z=z)
        if state in legend:
            legend[state].append(axis.time(start))
        if card.measure(state) + 12 <= x1 - x0:
            card.text((x0 + x1) / 2, y + tall / 2 - 1, [state], align="center", middle=True)
            legend.pop(state, None)
    x, bottom = math.inf, axis.draw(card, y, y + tall + 2)
    for state, begins in legend.items():
        lines = card.wrap(f"{state} at {', '.join(begins)}", axis.right - axis.left - 20, SMALL)
        if x + 20 + card.widest(lines, SMALL) > axis.right:
            x, y = axis.left, bottom + 10
        card.box(x, y + 1, x + 13, y + 14, fill=tint(colours[state], 0.5), edge=line_of(colours[state]), radius=3)
        bottom = max(bottom, card.text(x + 20, y, lines, SMALL))
        x += card.widest(lines, SMALL) + 44
    drawn = [f"{state} at {axis.time(start)}" for start, state in changes]
    drawn += [f"until {axis.time(end)}", *given]
    return card.picture("States over time", text, alt, bottom=bottom, drawn=drawn)


def _span(item: Span | Moment) -> Span:
    """A moment is drawn as the span that takes no time."""
    return item if isinstance(item, Span) else Span(item.at, item.at, item.label)


def _said(lanes: Mapping[str, Sequence[Span]], axis: Axis) -> Iterator[str]:
    """What is drawn, lane by lane; what has no label is counted."""
    for lane, spans in lanes.items():
        said = []
        for span in (span for span in spans if span.label):
            start, end = axis.time(span.start), axis.time(span.end)
            said.append(f"{span.label} at {start}" if span.start == span.end else f"{span.label} from {start} to {end}")
        if silent := [span for span in spans if not span.label]:
            start, end = axis.time(silent[0].start), axis.time(max(span.end for span in silent))
            said.append(f"{len(silent)} marks from {start} to {end}" if len(silent) > 1 else f"a mark at {start}")
        yield f"{lane}: {', '.join(said) or 'nothing'}"


def _room_for_labels(card: Card, axis: Axis, spans: Sequence[Span]) -> float:
    """The right end that an axis needs so that the labels of its last moments fit beside them, within reason."""
    right = axis.right
    for span in spans:
        wide = card.widest(card.wrap(span.label, 190)) if span.label else 0.0
        if wide and wide + 14 > axis.x(span.end) - axis.x(span.start) and span.end > axis.earliest:
            share = (span.end - axis.earliest) / (axis.latest - axis.earliest)
            right = min(right, axis.left + (card.width - PAD - 12 - wide - axis.left) / share)
    return max(right, axis.left + 0.75 * (axis.right - axis.left))


def _draw_lane(card: Card, axis: Axis, colour: str, spans: Sequence[Span], y: float) -> float:
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
            at = x1 + 9 if x1 + 9 + wide <= card.width - PAD + 1 else x0 - 11 - wide
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
            if x0 == x1 and lines:
                card.dot(x0, y + height / 2, line_of(colour))
            elif x0 == x1:  # a tick, because there may be very many of them
                card.line([(x0, y + height / 2 - 10), (x0, y + height / 2 + 10)], line_of(colour), 2)
            else:
                top, bottom = (y, y + height) if lines and x0 < at < x1 else (y + height / 2 - 10, y + height / 2 + 10)
                card.box(x0, top, max(x1, x0 + 3), bottom, fill=tint(colour, 0.5), edge=line_of(colour), radius=3)
            card.text(at, y + height / 2, lines, middle=True)
        y += height + 6
    return y + 2
