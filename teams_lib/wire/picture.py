"""Draws what a tap has recorded: the messages of calls, their frames, their bytes, and streams side by side.

Each function returns a `Picture`: an SVG whose bytes are the same for the same order of events, because there are no
times, ports or ids in it. With `times=True` it is a PNG with the times, which differ on each run; its text has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from teams_lib.pictures import Arrow, Field, Kind, Note, Picture, byte_fields
from teams_lib.pictures._calls import MAX_PARTICIPANTS, draw_sequence, text_of_sequence
from teams_lib.pictures._png import PngCard
from teams_lib.pictures._svg import SvgCard
from teams_lib.wire._streams import draw_streams
from teams_lib.wire.calls import Call, Conversation, Message
from teams_lib.wire.frames import (
    Ciphertext,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    Part,
    Preface,
    Problem,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

import grpc
from google.protobuf.text_format import MessageToString

__all__ = ["draw_bytes", "draw_frames", "draw_messages", "draw_streams"]

Source = Conversation | Call | Sequence[Call]

FEW: Final = 24
"""Events that are drawn as they are; of more, those that repeat are folded."""

MOST: Final = 40
"""Events of any picture."""

CUT: Final = 72
"""Characters of a message: what fits on an arrow between two."""

BYTES: Final = 192
"""Bytes of a picture."""

RACING: Final = frozenset({"PING", "WINDOW_UPDATE", "CLOSED", "RESET"})
"""Where these come among the others differs from run to run."""

NO_STATUS: Final = {
    "": "no status yet",
    "END_STREAM": "no status: the stream ended without trailers",
    "GOAWAY": "no status: the server did not process it",
    "connection": "no status: the connection ended",
}
"""What a note says of a call without a status, by how it ended; RST_STREAM has an arrow of its own."""


@dataclass(frozen=True)
class _Event:
    """What a frame does in a picture."""

    drawn: Arrow | Note
    what: str  # that a fold counts: "messages", "DATA"
    at: float

    @property
    def run(self) -> tuple[str, ...]:
        """Events of one run may be folded."""
        parties = (self.drawn.source, self.drawn.target) if isinstance(self.drawn, Arrow) else (self.drawn.at,)
        return (self.what, *parties)


def draw_messages(source: Source, title: str = "", *, names: Mapping[int, str] | None = None) -> Picture:
    """Draw calls as their programs see them: the start of each, its messages, its status.

    Args:
        source: a conversation, a call, or several calls.
        title: a line above the drawing, and the first of the text.
        names: of the clients, by the number of their connection. Without them: "client", or "client 1", "client 2".

    Returns:
        The picture. A half-close is drawn where it comes by itself, after the last message of a client that streams.
        Calls that overlap on one connection are told apart by their stream.

    Raises:
        ValueError: no calls; more than five clients.

    Example:
        >>> draw_messages(tap.decode())  # doctest: +SKIP
        client → server  GetTeam
        client → server  city: "Chicago"
        server → client  city: "Chicago" nickname: "Jackals"
        server → client  OK
    """
    calls = _calls(source)
    if not calls:
        raise ValueError("There are no calls to draw: make one through the tap, then decode its recording again.")
    parties = _Parties({call.connection for call in calls}, names)
    frames = _frames(source)
    position = {id(frame): i for i, frame in enumerate(frames)}
    overlap = _overlap(calls, position)
    events: list[tuple[int, _Event]] = []
    for call in calls:
        before = f"stream {call.stream}: " if overlap else ""
        for frame, event in _events(call, parties, before):
            events.append((position[id(frame)], event))
        if call.status is None and call.end in NO_STATUS:
            note = Note(parties.clients[call.connection], before + NO_STATUS[call.end])
            last = call.frames[-1] if call.end == "END_STREAM" else frames[-1]
            events.append((position[id(last)], _Event(note, "calls without a status", last.at)))
    return _draw([event for _, event in sorted(events, key=lambda pair: pair[0])], parties, title)


def draw_frames(
    source: Source,
    title: str = "",
    *,
    kinds: Collection[str] | None = None,
    names: Mapping[int, str] | None = None,
    times: bool = False,
) -> Picture:
    """Draw the frames of HTTP/2, one arrow each.

    Args:
        source: a conversation with all its frames, or calls with those of their streams.
        title: a line above the drawing, and the first of the text.
        kinds: which frames, such as {"DATA", "WINDOW_UPDATE"}, in the order in which they arrived. Without it, those
            whose order repeats: all but PING, WINDOW_UPDATE, the acknowledgements of SETTINGS, and the ends of
            connections (CLOSED, RESET). Both sides open a connection at once, so either may be first: the preface and
            SETTINGS of the client are then drawn before those of the server.
        names: of the clients, by the number of their connection.
        times: draw a PNG, with the milliseconds since the first frame.

    Returns:
        The picture. Its text has a line for each arrow; times are in the image only.

    Raises:
        ValueError: no frames of these kinds; more than five clients.

    Example:
        >>> draw_frames(tap.decode().calls[0])  # doctest: +SKIP
        client → server  HEADERS stream 1, :path /Teams/GetTeam
        client → server  DATA stream 1, 14 bytes, END_STREAM
        server → client  HEADERS stream 1, :status 200
        server → client  DATA stream 1, 23 bytes
        server → client  HEADERS stream 1, grpc-status 0, END_STREAM
    """
    frames = _frames(source)
    there = sorted({frame.kind for frame in frames})
    shown = _repeating(frames) if kinds is None else [frame for frame in frames if frame.kind in kinds]
    if not shown:
        raise ValueError(f"There are no such frames to draw, only: {', '.join(there) or 'none at all'}.")
    parties = _Parties({frame.connection for frame in shown}, names)
    events = [_Event(parties.arrow(frame, _label(frame), _kind(frame)), frame.kind, frame.at) for frame in shown]
    return _draw(events, parties, title, times=times)


def draw_bytes(
    item: Frame | Message | bytes, title: str = "", *, parts: Sequence[Part | Field] | None = None
) -> Picture:
    """Draw bytes in hex and ASCII, coloured by what they mean.

    Args:
        item: a frame, a message with its prefix, or bytes; the first 192 of it.
        title: a line above the drawing, and the first of the text.
        parts: what the bytes are, where a frame or message should not say so itself.

    Returns:
        The picture. Its text is a table with a line for each part.

    Raises:
        ValueError: no bytes; parts that overlap or are not within the bytes.

    Example:
        >>> draw_bytes(b"\\0\\0\\0\\0\\x07", parts=[Field(0, 1, "compressed", "no"), Field(1, 5, "length", "7")])
        00          | compressed: no
        00 00 00 07 | length: 7
    """
    match item:
        case Frame():
            data, known = item.raw, item.parts
        case Message():
            data, known = item.prefix + item.body, item.parts
        case _:
            data, known = item, ()
    fields = [Field(part.start, part.end, part.label, part.value) for part in (known if parts is None else parts)]
    if len(data) > BYTES:
        fields = [replace(field, end=min(field.end, BYTES)) for field in fields if field.start < BYTES]
    return byte_fields(data[:BYTES], fields, title, more=max(0, len(data) - BYTES))


class _Parties:
    """Who takes part: the clients by their connections, and the server, in the middle if there are several."""

    def __init__(self, connections: Collection[int], names: Mapping[int, str] | None) -> None:
        default = "client" if len(connections) == 1 else "client {}"
        self.clients = {n: (names or {}).get(n, default.format(n)) for n in sorted(connections)}
        self.server = "server"
        clients = list(dict.fromkeys(self.clients.values()))
        if len(clients) >= MAX_PARTICIPANTS:
            raise ValueError(
                f"{len(clients)} clients do not fit in one picture: pass the calls of some, "
                "or give several connections one name, names={1: 'client', 2: 'client'}."
            )
        middle = (len(clients) + 1) // 2
        self.all = [*clients[:middle], self.server, *clients[middle:]]

    def arrow(self, frame: Frame, label: str, kind: Kind) -> Arrow:
        """From who sent the frame to the other side."""
        client = self.clients[frame.connection]
        ends = (client, self.server) if frame.sender == "client" else (self.server, client)
        return Arrow(*ends, label, kind)


def _calls(source: Source) -> Sequence[Call]:
    match source:
        case Conversation():
            return source.calls
        case Call():
            return [source]
        case _:
            return source


def _frames(source: Source) -> Sequence[Frame]:
    """All frames of the source, in the order in which they arrived."""
    if isinstance(source, Conversation):
        return source.frames
    return sorted(
        (frame for call in _calls(source) for frame in call.frames), key=lambda frame: (frame.at, frame.offset)
    )


def _overlap(calls: Sequence[Call], position: Mapping[int, int]) -> bool:
    """Whether a call begins on a connection before the one before it there has ended."""
    ends: dict[int, int] = {}
    for call in sorted(calls, key=lambda call: position[id(call.frames[0])]):
        if position[id(call.frames[0])] < ends.get(call.connection, -1):
            return True
        ends[call.connection] = position[id(call.frames[-1])]
    return False


def _events(call: Call, parties: _Parties, before: str) -> Iterator[tuple[Frame, _Event]]:
    """What a call does in the eyes of its programs, with the frame in which it does it."""

    def event(label: str, kind: Kind, what: str) -> tuple[Frame, _Event]:
        return frame, _Event(parties.arrow(frame, before + label, kind), what, frame.at)

    for frame in call.frames:
        match frame:
            case HeadersFrame(role="request"):
                yield event(_method(call), "headers", "calls")
            case HeadersFrame(role="trailers" | "trailers-only", sender="server") if call.status is not None:
                details = f": {call.details}" if call.details else ""
                ok = call.status is grpc.StatusCode.OK
                yield event(call.status.name + details, "status" if ok else "error", "statuses")
            case DataFrame():
                ended = [piece.message for piece in frame.pieces if piece.message.frames[-1] is frame]
                for message in ended:
                    yield event(_content(message), "message", "messages")
                if frame.sender == "client" and "END_STREAM" in frame.flags and not ended:
                    yield event("half-close", "note", "half-closes")
            case RstStreamFrame() if call.end == "RST_STREAM":
                yield event(f"RST_STREAM {frame.error}", "error", "RST_STREAM")


def _method(call: Call) -> str:
    return call.method.rpartition("/")[2] or "a call whose beginning is not recorded"


def _content(message: Message) -> str:
    """A message in one line."""
    if message.problem:
        return f"{message.size} bytes, {message.problem}"
    if message.value is None:
        return f"{len(message.body)} bytes"
    text = MessageToString(message.value, as_one_line=True, as_utf8=True)
    text = text or f"{message.value.DESCRIPTOR.name}, empty"
    return text if len(text) <= CUT else f"{text[: CUT - 2]} …"


def _repeating(frames: Sequence[Frame]) -> list[Frame]:
    """The frames whose order repeats; where both sides open a connection at once, the client's first."""
    shown: list[Frame] = []
    steady = (f for f in frames if f.kind not in RACING and not (isinstance(f, SettingsFrame) and f.ack))
    for _, run in itertools.groupby(steady, key=lambda frame: isinstance(frame, Preface | SettingsFrame) or frame):
        shown += sorted(run, key=lambda frame: (frame.connection, frame.sender))
    return shown


def _label(frame: Frame) -> str:
    """What a frame is, without what differs from run to run."""
    about = [f"{frame.kind} stream {frame.stream}" if frame.stream else frame.kind]
    match frame:
        case HeadersFrame():
            values = dict(frame.headers)
            name = next((name for name in (":path", "grpc-status", ":status") if name in values), "")
            about += [f"{name} {values[name]!s}"] if name else [frame.problem or "no headers"]
        case DataFrame():
            about.append(f"{frame.length} bytes")
        case SettingsFrame(ack=False):
            about.append(f"{len(frame.settings)} settings")
        case WindowUpdateFrame():
            about.append(f"{frame.increment} bytes more")
        case RstStreamFrame():
            about.append(frame.error)
        case GoAwayFrame():
            about += [f"last stream {frame.last_stream}", frame.error]
            about += [frame.debug.decode(errors="replace")] if frame.debug else []
        case Ciphertext():
            about.append(f"TLS {frame.record}")
        case Problem():
            about.append(frame.what)
    return ", ".join(about + [flag for flag in frame.flags if flag != "END_HEADERS"])


def _kind(frame: Frame) -> Kind:
    match frame:
        case HeadersFrame(role="trailers" | "trailers-only"):
            return "status" if dict(frame.headers).get("grpc-status") == "0" else "error"
        case HeadersFrame():
            return "headers"
        case DataFrame() | Ciphertext():
            return "message"
        case GoAwayFrame(error="NO_ERROR"):
            return "note"
        case RstStreamFrame() | GoAwayFrame() | Problem():
            return "error"
        case _:
            return "note"


def _draw(events: Sequence[_Event], parties: _Parties, title: str, *, times: bool = False) -> Picture:
    events = _fold(events, parties)
    drawn = [event.drawn for event in events]
    text = text_of_sequence(drawn, title)
    if not times:
        return draw_sequence(SvgCard(), parties.all, drawn, title, text)
    timed = [replace(e.drawn, label=f"{(e.at - events[0].at) * 1000:.2f} ms  {e.drawn.label}") for e in events]
    alt = f"Sequence diagram: {'; '.join(text_of_sequence(timed, title).splitlines())}"
    return draw_sequence(PngCard(), parties.all, timed, title, text, alt)


def _fold(events: Sequence[_Event], parties: _Parties) -> Sequence[_Event]:
    """Shorten long runs of the same, and then the middle, until there are few enough to read."""
    if len(events) <= FEW:
        return events
    groups: list[list[_Event]] = []  # one of several events is folded
    for _, run in itertools.groupby(events, key=lambda event: event.run):
        same = [[event] for event in run]
        groups += same if len(same) <= 6 else [*same[:3], list(itertools.chain(*same[3:-2])), *same[-2:]]
    if len(groups) > MOST:
        start, end = groups[: MOST // 2], groups[-MOST // 4 :]
        groups = [*start, list(itertools.chain(*groups[len(start) : -len(end)])), *end]
    return [group[0] if len(group) == 1 else _folded(group, parties) for group in groups]


def _folded(events: Sequence[_Event], parties: _Parties) -> _Event:
    """One event in place of several: an arrow if all are arrows of one run."""
    first = events[0]
    if isinstance(first.drawn, Arrow) and all(event.run == first.run for event in events):
        return replace(first, drawn=replace(first.drawn, label=f"… {len(events)} more {first.what}", kind="note"))
    return replace(first, drawn=Note(parties.server, f"… {len(events)} more events"))
