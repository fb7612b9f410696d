"""Draws the calls of a connection side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from teams_lib.pictures import Kind, Picture
from teams_lib.pictures._calls import ARROWS
from teams_lib.pictures._card import BODY, BOLD, GRID, MUTED, PAD, SMALL, Axis, Card, columns, with_title
from teams_lib.pictures._png import PngCard
from teams_lib.pictures._svg import SvgCard
from teams_lib.wire.calls import Call, Conversation
from teams_lib.wire.frames import DataFrame, Frame, HeadersFrame, RstStreamFrame

FIRST: Final = 8
LAST: Final = 4
"""Streams that are drawn if there are more than these together."""

NEAR: Final = 9
FAR: Final = 22
"""How near and how far from each other frames are drawn, in pixels."""

GAP: Final = 60
"""Where frames are left out, in pixels."""

OUTCOMES: Final = {"": "open", "END_STREAM": "no status", "GOAWAY": "not processed", "connection": "broken off"}
"""Of calls without a status, by how they ended."""

LEGEND: Final[dict[Kind, str]] = {
    "headers": "HEADERS",
    "message": "DATA",
    "note": "half-close",
    "status": "status OK",
    "error": "error or RST_STREAM",
}


@dataclass(frozen=True)
class _Lane:
    """A call, and the words beside its lane."""

    call: Call
    name: str

    @property
    def method(self) -> str:
        return self.call.method.rpartition("/")[2]

    @property
    def outcome(self) -> str:
        status = self.call.status
        return status.name if status else OUTCOMES.get(self.call.end, self.call.end)


@dataclass(frozen=True)
class _Mark:
    """A frame on a lane, or several of the same in a row."""

    number: int  # in the order of all, from 1
    lane: int
    kind: Kind
    label: str
    sender: str
    at: float
    count: int = 1

    @property
    def text(self) -> str:
        way = "→" if self.sender == "client" else "←"
        return f"{self.label} {way} ×{self.count}" if self.count > 1 else f"{self.label} {way}"


def draw_streams(conversation: Conversation, title: str = "", *, times: bool = False) -> Picture:
    """Draw the calls of a conversation side by side, each on a lane of its own: how they share their connection.

    Args:
        conversation: all its calls are drawn, up to 12; of more, the first 8 and the last 4.
        title: a line above the drawing, and the first of the text.
        times: draw a PNG, to the scale of time. Without it, the frames stand one beside the other, in their order.

    Returns:
        The picture. Its text has a line for each stream, with the number of each frame in the order of all. That order
        repeats only if the calls wait for one another; the text of a picture with times has no numbers.

    Raises:
        ValueError: no calls.

    Example:
        >>> draw_streams(tap.decode())  # doctest: +SKIP
        stream 1 ListTeams  1 HEADERS →, 2 DATA →, 5 HEADERS ←, 6 DATA ← ×10, 19 OK ←
        stream 3 GetTeam    3 HEADERS →, 4 DATA →, 16 HEADERS ←, 17 DATA ←, 18 OK ←
    """
    if not conversation.calls:
        raise ValueError("There are no calls to draw: make one through the tap, then decode its recording again.")
    lanes, more_streams = _lanes(conversation.calls)
    marks = list(_marks(conversation.frames, lanes))
    card: Card = PngCard() if times else SvgCard()
    top = card.title(title)
    left, right, middles, y = _draw_lanes(card, lanes, more_streams, top)
    more_frames = 0
    drawn = None
    if times:
        axis = Axis(left + 10, right - 10, marks[0].at, max(mark.at for mark in marks), "ms")
        xs = [axis.x(mark.at) for mark in marks]
        drawn = [*_said(lanes, marks, axis)]
        y = axis.draw(card, top, y + 6)
    else:
        marks, more_frames = _fitting(_in_runs(marks), card, right - left)
        xs, gap = _beside(marks, card, left, right)
        if more_frames:
            card.line([(gap, top), (gap, y + 6)], MUTED, 1, (3, 3), z=4)
            y = card.text(gap, y + 8, [f"… {more_frames} more frames"], SMALL, colour=MUTED, align="center")
    for i, middle in enumerate(middles):
        mine = [x for mark, x in zip(marks, xs, strict=True) if mark.lane == i]
        if mine:
            card.box(mine[0] - 9, middle - 10, mine[-1] + 9, middle + 10, fill="#efede5", radius=10, z=2)
    for mark, x in zip(marks, xs, strict=True):
        _draw_mark(card, mark.kind, mark.sender, x, middles[mark.lane])
        if mark.count > 1:
            card.text(x + 8, middles[mark.lane], [f"×{mark.count}"], SMALL, middle=True)
    y = _draw_legend(card, [kind for kind in LEGEND if any(mark.kind == kind for mark in marks)], y + 12)
    text = with_title(title, _text(lanes, marks, more_streams, more_frames, times))
    return card.picture("Streams side by side", text, None, bottom=y, drawn=drawn)


def _lanes(calls: Sequence[Call]) -> tuple[list[_Lane], int]:
    """The lanes, and how many calls have none."""
    shown = calls if len(calls) <= FIRST + LAST else [*calls[:FIRST], *calls[-LAST:]]
    several = len({call.connection for call in shown}) > 1
    names = (f"connection {c.connection}, stream {c.stream}" if several else f"stream {c.stream}" for c in shown)
    return [_Lane(call, name) for call, name in zip(shown, names, strict=True)], len(calls) - len(shown)


def _draw_lanes(card: Card, lanes: Sequence[_Lane], more: int, y: float) -> tuple[float, float, list[float], float]:
    """Write what stands beside the lanes; return where they begin and end, the middle of each, and the bottom."""
    names, methods, outcomes = (
        [card.wrap(words, width, font) for words in column]
        for column, width, font in (
            ([lane.name for lane in lanes], 190, BOLD),
            ([lane.method for lane in lanes], 180, BODY),
            ([lane.outcome for lane in lanes], 150, BODY),
        )
    )
    second = PAD + card.widest(itertools.chain(*names), BOLD) + 14
    left = second + card.widest(itertools.chain(*methods)) + 20
    right = card.width - PAD - card.widest(itertools.chain(*outcomes)) - 20
    middles = []
    for i, row in enumerate(zip(names, methods, outcomes, strict=True)):
        if more and i == FIRST:
            card.text(PAD, y + 16, [f"… {more} more streams"], colour=MUTED, middle=True)
            y += 32
        height = max(32, max(map(len, row)) * BOLD.line + 10)
        for x, lines, font in zip((PAD, second, right + 20), row, (BOLD, BODY, BODY), strict=True):
            card.text(x, y + height / 2, lines, font, middle=True)
        middles.append(y + height / 2)
        y += height
        card.line([(PAD, y), (card.width - PAD, y)], GRID, z=1)
    return left, right, middles, y


def _marks(frames: Sequence[Frame], lanes: Sequence[_Lane]) -> Iterator[_Mark]:
    """The marks of all lanes, in the order in which their frames arrived."""
    places = {(lane.call.connection, lane.call.stream): i for i, lane in enumerate(lanes)}
    number = itertools.count(1)
    for frame in frames:
        i = places.get((frame.connection, frame.stream))
        if i is None:
            continue
        kind: Kind
        match frame:
            case HeadersFrame(role="trailers" | "trailers-only"):
                label = lanes[i].outcome
                kind = "status" if label == "OK" else "error"
            case HeadersFrame():
                kind, label = "headers", "HEADERS"
            case DataFrame(length=0, sender="client"):
                kind, label = "note", "half-close"
            case DataFrame():
                kind, label = "message", "DATA"
            case RstStreamFrame() if lanes[i].call.end == "RST_STREAM":
                kind, label = "error", f"RST_STREAM {frame.error}"
            case _:
                continue
        yield _Mark(next(number), i, kind, label, frame.sender, frame.at)


def _in_runs(marks: Iterable[_Mark]) -> list[_Mark]:
    """Put more than three of the same in a row into one mark."""
    runs: list[_Mark] = []
    for _, run in itertools.groupby(marks, key=lambda mark: (mark.lane, mark.text)):
        same = list(run)
        runs += same if len(same) <= 3 else [replace(same[0], count=len(same))]
    return runs


def _fitting(marks: list[_Mark], card: Card, room: float) -> tuple[list[_Mark], int]:
    """As many marks as have room, and how many frames have none: if not all fit, the first and the last do."""
    widths = [NEAR + _beyond(mark, card) for mark in marks]
    if sum(widths) <= room:
        return marks, 0
    half = (room - GAP) / 2
    first = sum(total <= half for total in itertools.accumulate(widths))
    last = len(marks) - sum(total <= half for total in itertools.accumulate(reversed(widths)))
    return marks[:first] + marks[last:], sum(mark.count for mark in marks[first:last])


def _beyond(mark: _Mark, card: Card) -> float:
    """What a mark needs to its right, for its count."""
    return card.measure(f"×{mark.count}", SMALL) + 4 if mark.count > 1 else 0.0


def _beside(marks: Sequence[_Mark], card: Card, left: float, right: float) -> tuple[list[float], float]:
    """The x of each mark, one beside the other, and that of the gap where some are missing."""
    after = [b.number > a.number + a.count for a, b in itertools.pairwise(marks)]
    beyond = [_beyond(mark, card) for mark in marks]
    step = min(FAR, (right - left - GAP * any(after) - sum(beyond)) / len(marks))
    xs, gap, x = [], 0.0, left
    for wide, missing in zip(beyond, [*after, False], strict=True):
        xs.append(x + step / 2)
        x += step + wide
        if missing:
            gap = x + GAP / 2
            x += GAP
    return xs, gap


def _draw_mark(card: Card, kind: Kind, sender: str, x: float, y: float) -> None:
    """Heads of arrows as in a sequence, which point to the right if the client sent them; a bar, a dot, a cross."""
    colour = ARROWS[kind][0]
    way = 1 if sender == "client" else -1
    head = [(x - 4 * way, y - 6), (x + 4 * way, y), (x - 4 * way, y + 6)]
    match kind:
        case "headers":
            card.line(head, colour, 2, z=4)
        case "message":
            card.polygon(head, colour)
        case "note":
            card.line([(x, y - 7), (x, y + 7)], MUTED, 2, z=4)
        case "status":
            card.dot(x, y, colour)
        case "error":
            card.line([(x - 4, y - 5), (x + 4, y + 5)], colour, 2.5, z=4)
            card.line([(x - 4, y + 5), (x + 4, y - 5)], colour, 2.5, z=4)


def _draw_legend(card: Card, kinds: Sequence[Kind], y: float) -> float:
    """Explain the marks; return the bottom."""
    x, middle = PAD + 6.0, y + SMALL.line / 2
    for kind in kinds:
        _draw_mark(card, kind, "client", x, middle)
        card.text(x + 12, middle, [LEGEND[kind]], SMALL, colour=MUTED, middle=True)
        x += 12 + card.measure(LEGEND[kind], SMALL) + 26
    return card.text(x, y, ["pointing right: from the client"], SMALL, colour=MUTED)


def _said(lanes: Sequence[_Lane], marks: Sequence[_Mark], axis: Axis) -> Iterator[str]:
    """What is drawn to the scale of time, lane by lane."""
    for i, lane in enumerate(lanes):
        said = [f"{mark.text} at {axis.time(mark.at)}" for mark in marks if mark.lane == i]
        yield f"{lane.name} {lane.method}: {', '.join([*said, lane.outcome])}"


def _text(
    lanes: Sequence[_Lane], marks: Sequence[_Mark], more_streams: int, more_frames: int, times: bool
) -> Iterator[str]:
    """A line for each lane."""
    rows = []
    for i, lane in enumerate(lanes):
        mine = [mark for mark in marks if mark.lane == i]
        said = [mark.text for mark in _in_runs(mine)] if times else [f"{mark.number} {mark.text}" for mark in mine]
        if lane.call.end in OUTCOMES and lane.call.status is None:
            said.append(lane.outcome)
        rows.append((f"{lane.name} {lane.method}", ", ".join(said)))
    lines = columns(rows)
    yield from lines[:FIRST] if more_streams else lines
    if more_streams:
        yield f"… {more_streams} more streams"
        yield from lines[FIRST:]
    if more_frames:
        yield f"… {more_frames} more frames"
