"""HTTP/2: the records that `reader` makes of a recording, one for each frame, and one for whatever is wrong.

Frame                    what all have: who sent it, when, where it stands, its bytes
├── Preface              PREFACE         RFC 9113, 3.4
├── DataFrame            DATA            RFC 9113, 6.1
├── HeadersFrame         HEADERS         RFC 9113, 6.2; headers compressed as in RFC 7541
├── PriorityFrame        PRIORITY        RFC 9113, 6.3
├── RstStreamFrame       RST_STREAM      RFC 9113, 6.4
├── SettingsFrame        SETTINGS        RFC 9113, 6.5
├── PushPromiseFrame     PUSH_PROMISE    RFC 9113, 6.6
├── PingFrame            PING            RFC 9113, 6.7
├── GoAwayFrame          GOAWAY          RFC 9113, 6.8
├── WindowUpdateFrame    WINDOW_UPDATE   RFC 9113, 6.9
├── ContinuationFrame    CONTINUATION    RFC 9113, 6.10
├── UnknownFrame         UNKNOWN         RFC 9113, 5.5: extensions
├── Ciphertext           CIPHERTEXT      a TLS record: RFC 8446, 5.1 and 5.2
├── Problem              PROBLEM         bytes that make no frame, or cannot be right
└── End                  CLOSED, RESET   no frame: the sender ended its direction
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from teams_lib.wire import recording as rec

if TYPE_CHECKING:
    from teams_lib.wire.calls import Message

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (RFC 9113, 3.4)."""

FRAME_HEADER: Final = 9
"""Each frame begins with as many bytes: length (3), type, flags, stream (4) (RFC 9113, 4.1)."""

TYPES: Final = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)
"""The names of the frame types, by their number (RFC 9113, 6)."""

ERRORS: Final = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
"""The names of the error codes, by their number (RFC 9113, 7)."""

SETTINGS: Final = {
    0x1: "HEADER_TABLE_SIZE",
    0x2: "ENABLE_PUSH",
    0x3: "MAX_CONCURRENT_STREAMS",
    0x4: "INITIAL_WINDOW_SIZE",
    0x5: "MAX_FRAME_SIZE",
    0x6: "MAX_HEADER_LIST_SIZE",
    0x8: "ENABLE_CONNECT_PROTOCOL",  # RFC 8441
    0xFE03: "GRPC_ALLOW_TRUE_BINARY_METADATA",  # gRFC G1; the next two are only in gRPC's source
    0xFE04: "GRPC_PREFERRED_RECEIVE_MESSAGE_SIZE",
    0xFE05: "GRPC_ALLOW_SECURITY_FRAME",
}
"""The names of the settings, by their number (RFC 9113, 6.5.2)."""

TLS_RECORDS: Final = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data"}
"""The names of TLS record types, by their number (RFC 8446, 5.1)."""

Role = Literal["", "request", "informational", "response", "trailers", "trailers-only"]


class Header(NamedTuple):
    """A header field: bytes if the name ends in ``-bin``, text otherwise.

    Binary values are decoded from Base64, padded or not; several values joined by commas become several headers
    (gRPC over HTTP2, Requests). A value that is no Base64 stays as it was sent. One that begins with a zero byte was
    sent raw (gRFC G1, true binary metadata).
    """

    name: str
    value: str | bytes


class Part(NamedTuple):
    """A stretch of bytes and what it says."""

    start: int
    end: int
    label: str
    """What these bytes are, such as "stream"."""
    value: str
    """What they say, such as "1"; empty for what says nothing by itself."""


class Piece(NamedTuple):
    """The part of a DATA frame that belongs to one gRPC message."""

    message: Message
    start: int
    """Where it begins in the frame's `data`."""
    end: int
    offset: int
    """Where it begins in the message, counted from the first byte of its prefix."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Frame:
    """What a frame of any type has. Two frames are equal if they are the same one.

    Source: RFC 9113, 4.1
    """

    KIND: ClassVar[str] = ""

    connection: int
    """Connections are numbered from 1."""

    sender: rec.Sender
    """Who sent it."""

    at: float
    """When its last byte arrived: seconds of `time.perf_counter`."""

    offset: int
    """Where it begins in all that its sender sent on this connection."""

    stream: int
    """The stream, 0 for frames that concern the connection as a whole."""

    flags: tuple[str, ...]
    """The names of the flags that are set and that this type defines, lowest bit first."""

    raw: bytes
    """All its bytes."""

    @property
    def kind(self) -> str:
        """The name of its type, such as ``HEADERS``."""
        return self.KIND

    @property
    def size(self) -> int:
        """All its bytes, counted."""
        return len(self.raw)

    @property
    def length(self) -> int:
        """The bytes after the frame header: what the frame itself gives as its length."""
        return max(0, len(self.raw) - FRAME_HEADER)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What each stretch of `raw` says, without gaps, in order. Read anew each time."""
        return (*self._header_parts(), *self._shifted(FRAME_HEADER, self._payload_parts()))

    def _header_parts(self) -> Iterator[Part]:
        yield Part(0, 3, "length", str(int.from_bytes(self.raw[:3])))
        yield Part(3, 4, "type", self.kind)
        yield Part(4, 5, "flags", ", ".join(self.flags) or (f"{self.raw[4]:#04x}" if self.raw[4] else "none"))
        yield Part(5, 9, "stream", str(self.stream))

    def _payload_parts(self) -> Iterator[Part]:
        """The parts of the payload, counted from its first byte."""
        if self.length:
            yield Part(0, self.length, "payload", "")

    @staticmethod
    def _shifted(by: int, parts: Iterator[Part]) -> Iterator[Part]:
        for start, end, label, value in parts:
            yield Part(start + by, end + by, label, value)

    def _padded(self, parts: Iterator[Part]) -> Iterator[Part]:
        """Parts of the payload between the length of the padding and the padding itself, if it has any."""
        if "PADDED" not in self.flags:
            yield from parts
            return
        padding = self.raw[FRAME_HEADER]
        yield Part(0, 1, "pad length", str(padding))
        yield from self._shifted(1, parts)
        if padding:
            yield Part(self.length - padding, self.length, "padding", "")

    @property
    def _padding(self) -> int:
        """The bytes that padding takes, its length included."""
        return 1 + self.raw[FRAME_HEADER] if "PADDED" in self.flags else 0

    def _about(self) -> str:
        """What the payload says, for the representation."""
        return ""

    def __repr__(self) -> str:
        about = [f"stream {self.stream}", counted(self.length, "byte"), *self.flags, self._about()]
        return f"{self.kind} {_way(self.sender)}, {', '.join(filter(None, about))}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Preface(Frame):
    """The client's first bytes: they make servers of HTTP/1 give up at once. Not a frame, but as good.

    Source: RFC 9113, 3.4
    """

    KIND = "PREFACE"

    @property
    def length(self) -> int:
        """All its bytes: it has no frame header."""
        return len(self.raw)

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part."""
        return (Part(0, self.size, "connection preface", "PRI * HTTP/2.0"),)

    def __repr__(self) -> str:
        return f"PREFACE {_way(self.sender)}, {counted(self.size, 'byte')}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DataFrame(Frame):
    """Bytes of the body: in gRPC, of length-prefixed messages, whose borders are not those of frames.

    Source: RFC 9113, 6.1; gRPC over HTTP2, Data Frames
    """

    KIND = "DATA"

    data: bytes
    """The payload without padding."""

    pieces: list[Piece] = field(default_factory=list)
    """What of which gRPC message is in it. Empty if the call is not gRPC's."""

    def _payload_parts(self) -> Iterator[Part]:
        return self._padded(self._data_parts())

    def _data_parts(self) -> Iterator[Part]:
        at = 0
        for message, start, end, offset in self.pieces:
            size = end - start
            if size == message.size:
                yield from self._shifted(start, iter(message.parts))
            else:
                yield from self._shifted(start, message.cut(offset, offset + size))
            at = end
        if at < len(self.data):
            yield Part(at, len(self.data), "data", "")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class HeadersFrame(Frame):
    """Headers or trailers, compressed. What CONTINUATION frames add to the block counts as part of it.

    Source: RFC 9113, 6.2 and 8.1; RFC 7541
    """

    KIND = "HEADERS"

    block: bytes
    """The whole HPACK block, that of CONTINUATION frames included."""

    headers: tuple[Header, ...] = ()
    """Decoded. Empty if that failed; see `problem`."""

    problem: str = ""
    """Why there are no headers."""

    @property
    def role(self) -> Role:
        """What these headers are to the call; "informational" is a response 1xx, "" not known."""
        values = dict(self.headers)
        if ":status" in values:
            if str(values[":status"]).startswith("1"):
                return "informational"
            return "trailers-only" if "END_STREAM" in self.flags and "grpc-status" in values else "response"
        if any(name.startswith(":") for name in values):
            return "request"
        return "trailers" if values else ""

    def _payload_parts(self) -> Iterator[Part]:
        return self._padded(self._block_parts())

    def _block_parts(self) -> Iterator[Part]:
        start = 0
        if "PRIORITY" in self.flags:
            yield from _priority_parts(self.raw[FRAME_HEADER + ("PADDED" in self.flags) :])
            start = 5
        end = max(start, self.length - self._padding)
        if start < end:
            yield Part(start, end, "HPACK block", self.problem or counted(len(self.headers), "header"))

    def _about(self) -> str:
        return "headers not readable" if self.problem else ""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PriorityFrame(Frame):
    """Which streams should come first. Deprecated; gRPC sends none.

    Source: RFC 9113, 6.3 and 5.3.2
    """

    KIND = "PRIORITY"

    depends_on: int
    """The stream on which this one depends."""

    weight: int
    """1 to 256."""

    exclusive: bool
    """Whether it is the only one to depend on it."""

    def _payload_parts(self) -> Iterator[Part]:
        return _priority_parts(self.raw[FRAME_HEADER:])


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RstStreamFrame(Frame):
    """The end of a stream at once: how a client cancels, and how either side gives up.

    Source: RFC 9113, 6.4; gRPC over HTTP2, Errors and Client Cancellation
    """

    KIND = "RST_STREAM"

    error: str
    """The name of the error code, such as ``CANCEL``."""

    def _payload_parts(self) -> Iterator[Part]:
        yield Part(0, 4, "error", self.error)

    def _about(self) -> str:
        return self.error


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SettingsFrame(Frame):
    """What the sender asks of its peer, or the acknowledgement of that.

    Source: RFC 9113, 6.5
    """

    KIND = "SETTINGS"

    settings: dict[str, int]
    """By name; a setting without a known name by its number, such as ``0x0f``."""

    @property
    def ack(self) -> bool:
        """Whether it acknowledges the peer's settings, and has none."""
        return "ACK" in self.flags

    def _payload_parts(self) -> Iterator[Part]:
        for start in range(0, self.length, 6):
            at = FRAME_HEADER + start
            name = setting_name(int.from_bytes(self.raw[at : at + 2]))
            yield Part(start, start + 2, "setting", name)
            yield Part(start + 2, start + 6, "value", str(int.from_bytes(self.raw[at + 2 : at + 6])))

    def _about(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self.settings.items())


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PushPromiseFrame(Frame):
    """A server announces a response to a request that was not made. gRPC forbids it by ENABLE_PUSH = 0.

    Source: RFC 9113, 6.6
    """

    KIND = "PUSH_PROMISE"

    promised: int
    """The stream on which the response will come."""

    block: bytes
    """The whole HPACK block, that of CONTINUATION frames included."""

    headers: tuple[Header, ...] = ()
    """The headers of the request that was not made."""

    problem: str = ""
    """Why there are no headers."""

    def _payload_parts(self) -> Iterator[Part]:
        return self._padded(self._block_parts())

    def _block_parts(self) -> Iterator[Part]:
        yield Part(0, 4, "promised stream", str(self.promised))
        end = self.length - self._padding
        if end > 4:
            yield Part(4, end, "HPACK block", self.problem or counted(len(self.headers), "header"))

    def _about(self) -> str:
        return f"promises stream {self.promised}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PingFrame(Frame):
    """Are you there? The peer sends the same bytes back, with ACK.

    Source: RFC 9113, 6.7
    """

    KIND = "PING"

    opaque: bytes
    """Eight bytes that mean something to who pings only."""

    @property
    def ack(self) -> bool:
        """Whether it is the answer."""
        return "ACK" in self.flags

    def _payload_parts(self) -> Iterator[Part]:
        yield Part(0, 8, "opaque data", "")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class GoAwayFrame(Frame):
    """No more streams on this connection, please; those above `last_stream` were not processed.

    Source: RFC 9113, 6.8; gRPC over HTTP2, GOAWAY Frame
    """

    KIND = "GOAWAY"

    last_stream: int
    """The last stream of the peer that was or might be processed; 2147483647 says: more to come, a second GOAWAY."""

    error: str
    """The name of the error code, ``NO_ERROR`` for an orderly end."""

    debug: bytes
    """Text for whoever debugs."""

    def _payload_parts(self) -> Iterator[Part]:
        yield Part(0, 4, "last stream", str(self.last_stream))
        yield Part(4, 8, "error", self.error)
        if self.debug:
            yield Part(8, self.length, "debug data", as_text(self.debug))

    def _about(self) -> str:
        debug = f", {as_text(self.debug[:200])!r}" if self.debug else ""
        return f"last stream {self.last_stream}, {self.error}{debug}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class WindowUpdateFrame(Frame):
    """Leave to send more DATA: on a stream, or (stream 0) on the connection.

    Source: RFC 9113, 6.9
    """

    KIND = "WINDOW_UPDATE"

    increment: int
    """How many bytes more."""

    def _payload_parts(self) -> Iterator[Part]:
        yield Part(0, 4, "increment", str(self.increment))

    def _about(self) -> str:
        return f"increment {self.increment}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ContinuationFrame(Frame):
    """More of the headers of the frame before it, which shows them all.

    Source: RFC 9113, 6.10
    """

    KIND = "CONTINUATION"

    def _payload_parts(self) -> Iterator[Part]:
        if self.length:
            yield Part(0, self.length, "HPACK block, continued", "")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UnknownFrame(Frame):
    """A frame of a type that RFC 9113 does not define. Whoever does not know it ignores it.

    Source: RFC 9113, 4.1 and 5.5
    """

    KIND = "UNKNOWN"

    type: int
    """The number of its type."""

    def _header_parts(self) -> Iterator[Part]:
        for part in Frame._header_parts(self):
            yield part._replace(value=f"{self.type:#04x}") if part.label == "type" else part

    def _about(self) -> str:
        return f"type {self.type:#04x}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ciphertext(Frame):
    """A TLS record: without the keys, its length is all that can be seen.

    Source: RFC 8446, 5.1 and 5.2
    """

    KIND = "CIPHERTEXT"

    record: str
    """The type that the record gives in clear, such as ``handshake``. In TLS 1.3, all that is encrypted says
    ``application_data``."""

    @property
    def length(self) -> int:
        """The bytes after the record header, which has five."""
        return len(self.raw) - 5

    @property
    def parts(self) -> tuple[Part, ...]:
        """The record header, and what is encrypted."""
        header = (
            Part(0, 1, "TLS record", self.record),
            Part(1, 3, "legacy version", self.raw[1:3].hex(" ")),
            Part(3, 5, "length", str(self.length)),
        )
        return (*header, Part(5, self.size, "TLS data", "")) if self.length else header

    def __repr__(self) -> str:
        return f"CIPHERTEXT {_way(self.sender)}, {counted(self.length, 'byte')}, TLS {self.record}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Problem(Frame):
    """Bytes that make no frame, or a finding about what came before. What follows is still read where possible."""

    KIND = "PROBLEM"

    what: str
    """What is wrong, and where."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part, if it has bytes."""
        return (Part(0, self.size, "not readable", self.what),) if self.raw else ()

    def __repr__(self) -> str:
        return f"PROBLEM {_way(self.sender)}, {self.what}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class End(Frame):
    """The sender ended its direction: in order (FIN) or not (RST). That is TCP's, and has no bytes here."""

    how: Literal["closed", "reset"]

    @property
    def kind(self) -> str:
        """CLOSED or RESET."""
        return self.how.upper()

    @property
    def parts(self) -> tuple[Part, ...]:
        """None."""
        return ()

    def __repr__(self) -> str:
        return f"{self.kind} {_way(self.sender)}"


def _priority_parts(payload: bytes) -> Iterator[Part]:
    depends_on = int.from_bytes(payload[:4])
    exclusive = ", exclusive" if depends_on >> 31 else ""
    yield Part(0, 4, "depends on", f"stream {depends_on & 0x7FFFFFFF}{exclusive}")
    yield Part(4, 5, "weight", str(payload[4] + 1))


def type_name(number: int) -> str:
    """Return the name of a frame type (RFC 9113, 6)."""
    return TYPES[number] if number < len(TYPES) else f"type {number:#04x}"


def error_name(code: int) -> str:
    """Return the name of an error code (RFC 9113, 7)."""
    return ERRORS[code] if code < len(ERRORS) else f"{code:#04x}"


def setting_name(number: int) -> str:
    """Return the name of a setting (RFC 9113, 6.5.2)."""
    return SETTINGS.get(number) or f"{number:#04x}"


def as_text(data: bytes) -> str:
    """Return what should be text, with escapes for bytes that are none."""
    return data.decode("utf-8", "backslashreplace")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``2 bytes``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _way(sender: rec.Sender) -> str:
    return "client → server" if sender == "client" else "server → client"
