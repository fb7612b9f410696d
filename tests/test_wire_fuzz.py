"""10,000 recordings with something wrong in them: the decoder never raises, never hangs, and never fills the memory."""

import gzip
import sys
import threading
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from types import FrameType

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.wire.calls import Conversation, decode
from teams_lib.wire.frames import PREFACE, HeadersFrame
from teams_lib.wire.recording import Chunk, Recording
from teams_lib.wire.tap import WireTap

import grpc
import hpack
import hyperframe.frame as hf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# Random, by number. Hypothesis took as long to draw them as they took to be decoded, and minutes to shrink one.
MUTANTS = 10_000


def unary(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    for city in ("Boston", "Boston", "Miami"):
        stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=5)


def response_stream(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))


def request_stream(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    games = [teams_pb2.GameResult(home_city="Boston", away_city="Chicago", home_score=score) for score in (1, -1)]
    stub.ReportGames(iter(games), timeout=5)


def both_streams(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    follow = teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city="Boston")
    list(stub.FollowTeams(iter([follow] * 3), timeout=5))


def error(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    with pytest.raises(grpc.RpcError):
        list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="x" * 100), timeout=5))


def compressed(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    stub.GetTeam(teams_pb2.TeamRequest(city="Boston" * 50), compression=grpc.Compression.Gzip, timeout=5)


def metadata(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    pairs = (("token-bin", b"\0\xff"), ("colour", "blue"), ("colour", "red"))
    stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), metadata=pairs, timeout=5)


def cancellation(stub: teams_pb2_grpc.TeamsStub, tap: WireTap) -> None:
    over = threading.Event()

    def nothing() -> Iterator[teams_pb2.FollowRequest]:
        over.wait(10)
        yield from ()

    call = stub.FollowTeams(nothing())
    tap.wait_for(lambda talk: talk.calls[0].request_headers)
    call.cancel()
    tap.wait_for(lambda talk: talk.calls[0].end)
    over.set()


SCENES = (unary, response_stream, request_stream, both_streams, error, compressed, metadata, cancellation)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    """Real ones."""
    found = []
    with BackgroundServer(TeamsServicer()) as server:
        for scene in SCENES:
            with WireTap(server) as tap:
                with grpc.insecure_channel(tap.address) as channel:
                    scene(teams_pb2_grpc.TeamsStub(channel), tap)
                found.append(tap.recording)
    return found


# What can happen to the bytes. Each takes the chunks, a place, and a number, and changes the chunks.

Chunks = list[Chunk]


def flip(chunks: Chunks, place: int, number: int) -> None:
    change(chunks, place, lambda data, at: data[:at] + bytes([data[at] ^ (number or 1)]) + data[at + 1 :])


def insert(chunks: Chunks, place: int, number: int) -> None:
    change(chunks, place, lambda data, at: data[:at] + bytes([number]) * (number % 20) + data[at:])


def delete(chunks: Chunks, place: int, number: int) -> None:
    change(chunks, place, lambda data, at: data[:at] + data[at + number % 20 :])


def duplicate(chunks: Chunks, place: int, number: int) -> None:
    change(chunks, place, lambda data, at: data[: at + number] + data[at:])


def truncate(chunks: Chunks, place: int, number: int) -> None:
    change(chunks, place, lambda data, at: data[:at])


def split(chunks: Chunks, place: int, number: int) -> None:
    index = place % len(chunks)
    chunk = chunks[index]
    at = number % (len(chunk.data) + 1)
    chunks[index : index + 1] = [replace(chunk, data=chunk.data[:at], end=""), replace(chunk, data=chunk.data[at:])]


def stop(chunks: Chunks, place: int, number: int) -> None:
    split(chunks, place, number)
    index = place % (len(chunks) - 1)
    chunks.insert(index + 1, replace(chunks[index], data=b"", end="reset"))


def swap(chunks: Chunks, place: int, number: int) -> None:
    one, two = place % len(chunks), number % len(chunks)
    chunks[one], chunks[two] = chunks[two], chunks[one]


def cross(chunks: Chunks, place: int, number: int) -> None:
    index = place % len(chunks)
    sender = chunks[index].sender
    chunks[index] = replace(chunks[index], sender="client" if sender == "server" else "server")


def lose(chunks: Chunks, place: int, number: int) -> None:
    if len(chunks) > 1:
        del chunks[place % len(chunks)]


def change(chunks: Chunks, place: int, how: Callable[[bytes, int], bytes]) -> None:
    """Change a chunk, at a place in it."""
    index = place % len(chunks)
    chunk = chunks[index]
    if chunk.data:
        chunks[index] = replace(chunk, data=how(chunk.data, place // len(chunks) % len(chunk.data)))


CHANGES = (flip, insert, delete, duplicate, truncate, split, stop, swap, cross, lose)


def look_at(conversation: Conversation) -> None:
    """Use all that a conversation offers."""
    repr((conversation, conversation.connections, conversation.problems))
    for connection in conversation.connections:
        repr((connection, connection.encrypted, connection.end, connection.ended_by))
    for frame in conversation.frames:
        parts = frame.parts  # made anew each time
        repr((frame, frame.kind, frame.length))
        assert [part.start for part in parts] == [0, *(part.end for part in parts)][:-1] or not frame.raw
        assert sum(part.end - part.start for part in parts) == frame.size
        if isinstance(frame, HeadersFrame):
            repr((frame.role, frame.headers, frame.problem))
    for call in conversation.calls:
        repr((call, call.status, call.details, call.trailers))
        for message in (*call.requests, *call.responses):
            repr((message, message.compressed, message.data, message.value, message.problem, message.fields))
            assert sum(part.end - part.start for part in message.parts) == message.size
            assert len(message.frames) > 0


def assert_complete(recording: Recording, conversation: Conversation) -> None:
    """All bytes are in the frames, unless a problem says that the rest is not read."""
    seen: dict[tuple[int, str], list[bytes]] = defaultdict(list)
    stopped = set()
    for frame in conversation.frames:
        assert frame.offset == sum(map(len, seen[frame.connection, frame.sender])) or not frame.raw
        seen[frame.connection, frame.sender].append(frame.raw)
    for problem in conversation.problems:
        if "nothing more is read" in problem.what:
            stopped.add((problem.connection, problem.sender))
    for (connection, sender), found in seen.items():
        data = recording.data(connection, "client" if sender == "client" else "server")
        assert data.startswith(b"".join(found))
        assert (connection, sender) in stopped or data == b"".join(found)


def mutated(recordings: list[Recording], random: Random) -> tuple[Recording, str]:
    """A recording with one to five things wrong in it, perhaps spliced with another; and what was done to it."""
    scene = random.randrange(len(SCENES))
    chunks, done = list(recordings[scene].chunks), [SCENES[scene].__name__]
    if random.random() < 0.5:
        other = random.randrange(len(SCENES))
        end, begin = random.randrange(len(chunks)), random.randrange(len(recordings[other].chunks))
        chunks = chunks[:end] + list(recordings[other].chunks[begin:])
        done.append(f"to {end}, then {SCENES[other].__name__} from {begin}")
    for _ in range(random.randint(1, 5)):
        mutate, place, number = random.choice(CHANGES), random.randrange(2**20), random.randrange(256)
        mutate(chunks, place, number)
        done.append(f"{mutate.__name__}({place}, {number})")
    return Recording(tuple(chunks)), ", ".join(done)


def test_whatever_happens_to_the_bytes_a_conversation_comes_out(recordings: list[Recording]) -> None:
    for number in range(MUTANTS):
        recording, done = mutated(recordings, Random(number))
        try:
            conversation = decode(recording)
            assert_complete(recording, conversation)
            look_at(conversation)
        except Exception as error:
            error.add_note(f"mutant {number}: {done}")
            raise


def test_unharmed_recordings_have_no_problems(recordings: list[Recording]) -> None:
    for recording in recordings:
        conversation = decode(recording)
        assert conversation.problems == ()
        assert all(
            message.problem == "" for call in conversation.calls for message in (*call.requests, *call.responses)
        )
        look_at(conversation)
        assert_complete(recording, conversation)


@settings(max_examples=200, derandomize=True, database=None, deadline=10_000)
@given(st.binary(max_size=400), st.binary(max_size=400), st.booleans())
def test_whatever_the_bytes_are_a_conversation_comes_out(client: bytes, server: bytes, preface: bool) -> None:
    recording = Recording((Chunk(1, "client", 0.0, PREFACE * preface + client), Chunk(1, "server", 0.0, server)))
    look_at(decode(recording))


# Bombs: few bytes that claim much.

ASK = hpack.Encoder().encode([(":method", "POST"), (":path", "/Teams/GetTeam"), ("content-type", "application/grpc")])


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def bomb(data: bytes) -> Recording:
    """What a client sent whom the server allows a table of headers of 4 GiB."""
    opening = hf.SettingsFrame(settings={1: 2**32 - 1}).serialize()
    acknowledgement = hf.SettingsFrame(flags=["ACK"]).serialize()
    ours = Chunk(1, "client", 0.0, PREFACE + hf.SettingsFrame().serialize() + acknowledgement + data)
    return Recording((Chunk(1, "server", 0.0, opening), ours))


def many(count: int, each: Callable[[int], bytes]) -> Recording:
    return bomb(b"".join(each(number) for number in range(count)))


BOMBS: dict[str, Callable[[int], Recording]] = {
    "empty frames": lambda size: many(size // 9, lambda _: frame(0, 0, 1)),
    "empty messages": lambda size: bomb(frame(1, 4, 1, ASK) + frame(0, 0, 1, bytes(size))),
    "a message of 4 GB": lambda size: bomb(frame(1, 4, 1, ASK) + frame(0, 0, 1, b"\0\xff\xff\xff\xff" + bytes(size))),
    "a frame of 16 MB": lambda size: bomb(b"\xff\xff\xff\0\0\0\0\0\x01" + bytes(size)),
    "calls": lambda size: many(size // 10, lambda number: frame(1, 4, 2 * number + 1, b"\x83")),
    "calls, and as many GOAWAY": lambda size: many(
        size // 27, lambda number: frame(1, 4, 2 * number + 1, b"\x83") + frame(7, 0, 0, bytes(8))
    ),
    "continuations": lambda size: bomb(frame(1, 0, 1) + frame(9, 0, 1, b"\x83") * (size // 10)),
    "one header, again and again": lambda size: bomb(
        frame(1, 4, 1, hpack.Encoder().encode([("x", "y" * 4000)], huffman=False))
        + frame(1, 4, 3, b"\xbe" * 60) * (size // 69)
    ),
    "a large name with many values": lambda size: bomb(
        frame(1, 4, 1, hpack.Encoder().encode([("y" * 4000, "z")], huffman=False))
        + b"".join(frame(1, 4, 3, b"\x0f\x2f\x02" + number.to_bytes(2)) for number in range(size // 14))
    ),
    "entries of a table": lambda size: many(
        size // 80, lambda number: frame(1, 4, 1, b"\x3f\xe1\xff\x3f" * (number == 0) + b"\x40\x01x\x01y\xbe" * 12)
    ),
    "groups": lambda size: bomb(frame(1, 4, 1, ASK) + frame(0, 0, 1, b"\0" + size.to_bytes(4) + b"\x0b" * size)),
    "fields": lambda size: bomb(
        frame(1, 4, 1, ASK) + frame(0, 0, 1, b"\0" + size.to_bytes(4) + b"\x08\0" * (size // 2))
    ),
    "one byte a chunk": lambda size: Recording(
        tuple(Chunk(1, "client", 0.0, bytes([byte])) for byte in PREFACE + frame(0, 0, 1, bytes(size)))
    ),
    "settings": lambda size: many(size // 9, lambda _: hf.SettingsFrame().serialize()),
    "a message in tiny frames": lambda size: bomb(
        frame(1, 4, 1, ASK) + frame(0, 0, 1, b"\0" + size.to_bytes(4)) + frame(0, 0, 1, b"x") * (size // 10)
    ),
    "nonsense": lambda size: many(size // 16, lambda number: b"\xff" * 16),
    "TLS": lambda size: Recording((Chunk(1, "client", 0.0, b"\x16\x03\x01\0\0" * (size // 5)),)),
}


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of Python run: a measure of work that is the same on every machine."""
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("name", BOMBS)
def test_twice_the_bytes_are_twice_the_work_at_most(name: str) -> None:
    once, twice = BOMBS[name](4_000), BOMBS[name](8_000)
    assert lines_of(lambda: decode(twice)) <= 2.2 * lines_of(lambda: decode(once)) + 500


@pytest.mark.parametrize("name", BOMBS)
def test_the_memory_that_bombs_take_is_a_multiple_of_their_size(name: str) -> None:
    recording = BOMBS[name](50_000)
    decode(recording)  # what is made once, such as tables, does not count
    tracemalloc.start()
    conversation = decode(recording)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The worst is a call in ten bytes: two records, lists, and its part of the conversation.
    assert peak <= 250 * 50_000 + 1_000_000
    look_at(conversation)


def test_a_small_message_that_grows_to_gigabytes_is_read_in_part() -> None:
    body = gzip.compress(bytes(80 << 20), 9)
    ask = hpack.Encoder().encode([(":method", "POST"), ("grpc-encoding", "gzip"), ("content-type", "application/grpc")])
    sent = frame(1, 4, 1, ask) + frame(0, 0, 1, b"\1" + len(body).to_bytes(4) + body)
    [message] = decode(bomb(sent)).calls[0].requests
    tracemalloc.start()
    assert message.problem.startswith("larger than 64 MiB")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 << 20
