"""gRPC over HTTP/2: the frames of a recording as calls and messages."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal
from urllib.parse import unquote

from teams_lib.wire import frames as http2
from teams_lib.wire import recording as rec
from teams_lib.wire.fields import Scalar, WireField, fields
from teams_lib.wire.frames import DataFrame, Frame, Header, HeadersFrame, Part, Piece, Problem, counted
from teams_lib.wire.reader import read_frames

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage

PREFIX: Final = 5
"""Each message begins with as many bytes: the compressed flag, and the length in four."""

MAX_DATA: Final = 1 << 26
"""So many bytes (64 MiB) are decompressed of a message."""

HowEnded = Literal["", "trailers", "trailers-only", "END_STREAM", "RST_STREAM", "GOAWAY", "connection"]

_CODES: Final = {str(code.value[0]): code for code in grpc.StatusCode}
_WINDOWS: Final = {"gzip": 31, "deflate": 15}
"""How zlib is to read an encoding: with the header of gzip, or that of zlib, which HTTP calls deflate."""


@dataclass(frozen=True, eq=False)
class Message:
    """One length-prefixed message, wherever the borders of its DATA frames were.

    Source: gRPC over HTTP2, Requests (Length-Prefixed-Message)
    """

    sender: rec.Sender
    """Who sent it: requests come from the client."""

    encoding: str
    """What ``grpc-encoding`` announced for this direction, such as ``gzip``; ``identity`` if it did not."""

    prefix: bytes
    """The compressed flag and the length; less than 5 bytes if it broke off there."""

    body: bytes
    """The message as it was sent."""

    frames: tuple[DataFrame, ...]
    """The frames in which it came, in whole or in part."""

    descriptor: Descriptor | None
    """What it should be, by the method's definition; None if that is not known here."""

    @property
    def compressed(self) -> bool:
        """The flag: whether the body is compressed. Even with an encoding announced, some may be sent as they are."""
        return self.prefix[:1] == b"\1"

    @property
    def size(self) -> int:
        """The bytes that came, the prefix included."""
        return len(self.prefix) + len(self.body)

    @property
    def data(self) -> bytes:
        """The message, decompressed; empty if that is not possible."""
        return self._decompressed[0]

    @property
    def problem(self) -> str:
        """What is wrong with it; empty if nothing is."""
        return self._broken or self._decompressed[1] or self._parsed[1]

    @property
    def value(self) -> ProtobufMessage | None:
        """The message as an object of its class; None if the class is not known, or the bytes make none."""
        return self._parsed[0]

    @cached_property
    def fields(self) -> tuple[WireField, ...]:
        """The raw fields of `data`."""
        return fields(self.data, self.descriptor)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What each stretch of prefix and body says: the fields, if the body came whole and is not compressed."""
        return tuple(self._parts())

    def cut(self, start: int, end: int) -> Iterator[Part]:
        """The parts of a piece of it, counted from the beginning of the piece; the body is not read."""
        for part in self._prefix_parts():
            if max(start, part.start) < min(end, part.end):
                yield Part(max(start, part.start) - start, min(end, part.end) - start, part.label, part.value)
        if end > PREFIX:
            first = max(start, PREFIX)
            value = f"bytes {first - PREFIX} to {end - PREFIX - 1} of {self._claimed}"
            yield Part(first - start, end - start, "message", value)

    @property
    def _claimed(self) -> int:
        return int.from_bytes(self.prefix[1:])

    @property
    def _broken(self) -> str:
        if len(self.prefix) < PREFIX:
            return f"truncated: {len(self.prefix)} of {PREFIX} bytes of the prefix"
        if len(self.body) < self._claimed:
            return f"truncated: {len(self.body)} of {self._claimed} bytes"
        if self.prefix[0] > 1:
            return f"the compressed flag is {self.prefix[0]}; it is 0 or 1"
        return ""

    @cached_property
    def _decompressed(self) -> tuple[bytes, str]:
        """The data, and what is wrong with it."""
        if not self.compressed:
            return self.body, ""
        if self.encoding not in _WINDOWS:
            return b"", f"compressed, but grpc-encoding is {self.encoding!r}: it can not be read here"
        return _decompress(self.body, _WINDOWS[self.encoding])

    @cached_property
    def _parsed(self) -> tuple[ProtobufMessage | None, str]:
        if self.descriptor is None or self._broken or self._decompressed[1]:
            return None, ""
        try:
            return message_factory.GetMessageClass(self.descriptor).FromString(self.data), ""
        except DecodeError:
            return None, f"not a {self.descriptor.full_name}: the bytes make no message of it"

    def _parts(self) -> Iterator[Part]:
        yield from self._prefix_parts()
        if self._broken or self.compressed:
            if self.body:
                label = f"message, {self.encoding}" if self.compressed else "message"
                yield Part(PREFIX, self.size, label, self._broken)
        else:
            yield from _field_parts(self.fields)

    def _prefix_parts(self) -> Iterator[Part]:
        if self.prefix:
            yield Part(0, 1, "compressed flag", str(self.prefix[0]))
        if len(self.prefix) > 1:
            yield Part(1, len(self.prefix), "message length", str(self._claimed))

    def __repr__(self) -> str:
        name = self.descriptor.full_name if self.descriptor else "message"
        problem = f", {self.problem}" if self.problem else ""
        encoding = f", {self.encoding}" if self.compressed else ""
        return f"<{name} from the {self.sender}, {len(self.body)} bytes{encoding}{problem}>"


@dataclass(frozen=True, eq=False)
class Call:
    """One call: a stream of HTTP/2, as far as the recording holds it.

    Source: gRPC over HTTP2, Outline and Stream Identification
    """

    connection: int
    """The number of its connection."""

    stream: int
    """The number of its stream: 1, 3, 5, …"""

    method: str
    """The path, such as ``/Teams/GetTeam``; empty if the recording does not hold it."""

    frames: tuple[Frame, ...]
    """The frames of its stream, of both directions."""

    request_headers: tuple[Header, ...]
    """The client's headers, metadata included."""

    response_headers: tuple[Header, ...]
    """The server's headers before its messages; none if there are trailers only."""

    trailers: tuple[Header, ...]
    """The server's last headers; those of trailers-only too."""

    requests: tuple[Message, ...]
    """The client's messages, incomplete ones too."""

    responses: tuple[Message, ...]
    """The server's messages, incomplete ones too."""

    end: HowEnded
    """What ended it: "trailers"; "trailers-only"; "END_STREAM" without trailers, which is not gRPC; "RST_STREAM";
    "GOAWAY" with a lower last stream; the end of the "connection"; "" if it is still open."""

    reset_by: rec.Sender | None
    """Who sent RST_STREAM, if anybody did: after trailers it ends only what the other side still sends."""

    problem: str
    """What is wrong with it as a gRPC call."""

    @property
    def status(self) -> grpc.StatusCode | None:
        """What ``grpc-status`` says, UNKNOWN for unknown numbers; None without it: then the client makes up its own."""
        text = _get(self.trailers, "grpc-status")
        if text is None:
            return None
        return _CODES.get(text, grpc.StatusCode.UNKNOWN)

    @property
    def details(self) -> str:
        """What ``grpc-message`` says, decoded: it is sent percent-encoded (gRPC over HTTP2, Responses)."""
        return unquote(_get(self.trailers, "grpc-message") or "")

    def __repr__(self) -> str:
        what = [
            self.method or "a call whose beginning is not recorded",
            f"stream {self.stream}",
            counted(len(self.requests), "request"),
            counted(len(self.responses), "response"),
            self.status.name if self.status else f"ended by {self.end}" if self.end else "open",
        ]
        return f"<Call {', '.join(what)}>"


@dataclass(frozen=True, eq=False)
class Connection:
    """One TCP connection."""

    number: int
    """Connections are numbered from 1."""

    frames: tuple[Frame, ...]
    """Its frames, of both directions."""

    @property
    def encrypted(self) -> bool:
        """Whether it carries TLS: then there is only ciphertext to see."""
        return any(isinstance(frame, http2.Ciphertext) for frame in self.frames)

    @property
    def end(self) -> rec.End:
        """How it ended: "closed" (FIN) or "reset" (RST), whichever came first; "" if it is open."""
        return next((frame.how for frame in self.frames if isinstance(frame, http2.End)), "")

    @property
    def ended_by(self) -> rec.Sender | None:
        """Who ended it first."""
        return next((frame.sender for frame in self.frames if isinstance(frame, http2.End)), None)

    def __repr__(self) -> str:
        what = [f"{len(self.frames)} frames", "encrypted" if self.encrypted else "", self.end]
        return f"<Connection {self.number}, {', '.join(filter(None, what))}>"


@dataclass(frozen=True, eq=False)
class Conversation:
    """All that a recording holds, decoded."""

    connections: tuple[Connection, ...]
    """In the order of their numbers."""

    frames: tuple[Frame, ...]
    """All frames, in the order in which their last byte arrived."""

    calls: tuple[Call, ...]
    """In the order of their first HEADERS."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read; also in `frames`, at its place."""
        return tuple(frame for frame in self.frames if isinstance(frame, Problem))

    def __repr__(self) -> str:
        what = [
            counted(len(self.connections), "connection"),
            f"{len(self.frames)} frames",
            counted(len(self.calls), "call"),
            counted(len(self.problems), "problem") if self.problems else "",
        ]
        return f"<Conversation: {', '.join(filter(None, what))}>"


def decode(recording: rec.Recording, pool: DescriptorPool | None = None) -> Conversation:
    """Decode a recording. Never raises, whatever the bytes are: what can not be read is a `Problem` among the frames.

    Args:
        recording: From a tap, or made by hand.
        pool: Knows the methods and their messages; by default all whose generated code is imported.

    Returns:
        Its connections, frames and calls.

    Example:
        >>> [problem] = decode(rec.Recording((rec.Chunk(1, "client", 0.0, b"PRI *"),))).problems
        >>> problem.what
        'truncated: 5 of 24 bytes of the connection preface, at byte 0 of what the client sent'

    Source: RFC 9113; RFC 7541; gRPC over HTTP2
    """
    frames = read_frames(recording)
    methods = _Methods(pool or descriptor_pool.Default())
    streams: dict[tuple[int, int], _Stream] = {}
    last_streams: dict[int, int] = {}  # by connection: the lowest that a GOAWAY of the server named
    by_connection: dict[int, list[Frame]] = {number: [] for number in recording.connections}
    for frame in frames:
        by_connection[frame.connection].append(frame)
        key = frame.connection, frame.stream
        if isinstance(frame, http2.GoAwayFrame) and frame.sender == "server":
            last_streams[frame.connection] = min(
                frame.last_stream, last_streams.get(frame.connection, frame.last_stream)
            )
        elif key in streams:
            streams[key].add(frame)
        # Streams of even numbers are the server's, for PUSH_PROMISE. Of the others, what comes late opens no call.
        elif frame.stream % 2 and isinstance(frame, HeadersFrame | DataFrame):
            streams[key] = _Stream(*key, methods)
            streams[key].add(frame)
    connections = tuple(Connection(number, tuple(found)) for number, found in by_connection.items())
    ended = {connection.number for connection in connections if connection.end}
    for (connection_number, number), stream in streams.items():
        if number > last_streams.get(connection_number, number):
            stream.end = stream.end or "GOAWAY"
        elif connection_number in ended:
            stream.end = stream.end or "connection"
    return Conversation(connections, frames, tuple(stream.call() for stream in streams.values()))


class _Methods:
    """The methods of a pool, by the path of a call."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._found: dict[str, MethodDescriptor | None] = {}

    def find(self, path: str) -> MethodDescriptor | None:
        """The method of a path such as ``/package.Service/Method``."""
        if path not in self._found:
            try:
                self._found[path] = self._pool.FindMethodByName(path.removeprefix("/").replace("/", "."))
            except KeyError:
                self._found[path] = None
        return self._found[path]


@dataclass
class _Stream:
    """Collects a call."""

    connection: int
    number: int
    methods: _Methods
    frames: list[Frame] = field(default_factory=list)
    headers: dict[str, tuple[Header, ...]] = field(default_factory=dict)  # by role
    end: HowEnded = ""
    reset_by: rec.Sender | None = None
    problem: str = ""

    def __post_init__(self) -> None:
        self._halves = {"client": _Half("client"), "server": _Half("server")}

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        if isinstance(frame, HeadersFrame):
            self._add_headers(frame)
        elif isinstance(frame, DataFrame):
            self._halves[frame.sender].add(frame)
        elif isinstance(frame, http2.RstStreamFrame):
            self.reset_by = self.reset_by or frame.sender
            self.end = self.end or "RST_STREAM"
        if "END_STREAM" in frame.flags and frame.sender == "server":
            self.end = self.end or "END_STREAM"

    def _add_headers(self, frame: HeadersFrame) -> None:
        role = frame.role
        if (role == "request") != (frame.sender == "client"):
            return  # a client's trailers, which gRPC does not use, or headers that nobody could read
        self.headers.setdefault(role, frame.headers)
        half = self._halves[frame.sender]
        if role in ("request", "response"):
            half.encoding = _get(frame.headers, "grpc-encoding") or "identity"
            kind = _get(frame.headers, "content-type")
            half.is_grpc = kind is not None and kind.startswith("application/grpc")
            if not half.is_grpc:
                self.problem = (
                    f"content-type is {kind or 'missing'}, not application/grpc: DATA is not read as messages"
                )
            if role == "request":
                method = self.methods.find(_get(frame.headers, ":path") or "")
                if method is not None:
                    self._halves["client"].descriptor = method.input_type
                    self._halves["server"].descriptor = method.output_type
        elif "END_STREAM" in frame.flags:
            self.end = self.end or ("trailers-only" if role == "trailers-only" else "trailers")

    def call(self) -> Call:
        """The call, complete or not."""
        request, only = self.headers.get("request", ()), self.headers.get("trailers-only", ())
        missing = "" if request else "the beginning of the call is not recorded, or not readable"
        return Call(
            self.connection,
            self.number,
            _get(request, ":path") or "",
            tuple(self.frames),
            request,
            self.headers.get("response", ()),
            self.headers.get("trailers", only),
            self._halves["client"].all(),
            self._halves["server"].all(),
            self.end,
            self.reset_by,
            self.problem or missing,
        )


class _Half:
    """Puts the messages of one direction of a call together."""

    def __init__(self, sender: rec.Sender) -> None:
        self.encoding = "identity"
        self.is_grpc = True
        self.descriptor: Descriptor | None = None
        self._sender = sender
        self._messages: list[Message] = []
        self._prefix = b""
        self._missing = 0  # bytes of the body
        self._body: list[bytes] = []
        self._spans: list[tuple[DataFrame, int, int]] = []  # where in which frame

    def add(self, frame: DataFrame) -> None:
        """Take in the data of a frame."""
        data, at = frame.data, 0
        while self.is_grpc and at < len(data):
            start = at
            if len(self._prefix) < PREFIX:
                at = min(len(data), at + PREFIX - len(self._prefix))
                self._prefix += data[start:at]
                if len(self._prefix) == PREFIX:
                    self._missing = int.from_bytes(self._prefix[1:])
            if len(self._prefix) == PREFIX:
                body = data[at : at + self._missing]
                at += len(body)
                self._missing -= len(body)
                self._body.append(body)
            self._spans.append((frame, start, at))
            if len(self._prefix) == PREFIX and not self._missing:
                self._finish()

    def all(self) -> tuple[Message, ...]:
        """The messages; the last one may be incomplete."""
        if self._spans:
            self._finish()
        return tuple(self._messages)

    def _finish(self) -> None:
        frames = tuple(frame for frame, _, _ in self._spans)
        body = b"".join(self._body)
        message = Message(self._sender, self.encoding, self._prefix, body, frames, self.descriptor)
        self._messages.append(message)
        offset = 0
        for frame, start, end in self._spans:
            frame.pieces.append(Piece(message, start, end, offset))
            offset += end - start
        self._prefix, self._missing, self._body, self._spans = b"", 0, [], []


def _decompress(body: bytes, window: int) -> tuple[bytes, str]:
    """The data, and what is wrong with it. Reads no more than is allowed: a few bytes can claim gigabytes."""
    reader = zlib.decompressobj(window)
    try:
        data = reader.decompress(body, MAX_DATA + 1)
    except zlib.error as error:
        return b"", f"can not be decompressed: {error}"
    if len(data) > MAX_DATA:
        return data[:MAX_DATA], "larger than 64 MiB when decompressed: the rest is not read"
    if not reader.eof:
        return data, "truncated: the compressed data goes on"
    return data, f"{len(reader.unused_data)} bytes follow the compressed data" if reader.unused_data else ""


def _field_parts(found: Sequence[WireField], path: str = "") -> Iterator[Part]:
    """The keys, lengths and values of fields, in gRPC's message: behind the prefix."""
    for each in found:
        name = f"{path}{each.name or each.number}"
        if each.problem and each.key_end == each.value_start == each.start:
            yield Part(PREFIX + each.start, PREFIX + each.end, "not readable", each.problem)
            continue
        yield Part(PREFIX + each.start, PREFIX + each.key_end, f"{name}: key", f"{each.number}, {each.kind}")
        if each.key_end < each.value_start:
            length = str(each.end - each.value_start)
            yield Part(PREFIX + each.key_end, PREFIX + each.value_start, f"{name}: length", length)
        if each.children:
            yield from _field_parts(each.children, f"{name}.")
            inner = each.children[-1].end
            if inner < each.end:
                yield Part(PREFIX + inner, PREFIX + each.end, f"{name}: end", f"{each.number}, EGROUP")
        elif each.value_start < each.end:
            yield Part(PREFIX + each.value_start, PREFIX + each.end, name, each.problem or _shown(each.value))


def _shown(value: Scalar | tuple[Scalar, ...]) -> str:
    """A value as text, not too long."""
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value[:20]) + (", …" if len(value) > 20 else "")
    if isinstance(value, bytes):
        return repr(value[:100]) + ("…" if len(value) > 100 else "")
    if isinstance(value, str):
        return value[:100] + ("…" if len(value) > 100 else "")
    return str(value)


def _get(headers: Sequence[Header], name: str) -> str | None:
    """The first value of a text header."""
    return next((value for key, value in headers if key == name and isinstance(value, str)), None)
