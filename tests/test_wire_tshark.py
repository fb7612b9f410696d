"""What the decoder reads is what Wireshark reads, which shares no code with it."""

import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.wire.calls import Conversation, decode
from teams_lib.wire.frames import Frame, HeadersFrame
from teams_lib.wire.recording import Recording, Sender
from teams_lib.wire.tap import WireTap
from tests.needs import missing

import grpc
import pytest

PORT: Final = 50051
SEGMENT: Final = 16384

MISSING: Final = "tshark is missing: `apt install tshark` on Debian or Ubuntu, `brew install wireshark` on macOS"


class Overlay(TeamsServicer):
    """Teams with large and late answers."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        if request.city == "wait":
            self.free.wait(10)
        if request.city == "large":
            return teams_pb2.TeamResponse(nickname="x" * 3_000_000)
        return super().GetTeam(request, context)

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        yield from super().ListTeams(request, context)
        if request.city_prefix == "B":
            context.set_trailing_metadata((("why-bin", b"\0\1"), ("why", "enough")))
            context.abort(grpc.StatusCode.ABORTED, "naïve 100%")


Stub = teams_pb2_grpc.TeamsStub


def unary(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    for city in ("Boston", "Boston", "Miami"):
        stub.GetTeam(teams_pb2.TeamRequest(city=city), metadata=(("colour", "blue"), ("t-bin", b"\0\xff")), timeout=5)


def response_stream(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))


def request_stream(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    game = teams_pb2.GameResult(home_city="Boston", away_city="Chicago", home_score=1)
    stub.ReportGames(iter([game] * 20), timeout=5)


def both_streams(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    follow = teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city="Boston")
    list(stub.FollowTeams(iter([follow] * 5), timeout=5))


def trailers_only(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    with pytest.raises(grpc.RpcError):
        list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="x" * 100), timeout=5))


def abort_after_messages(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    with pytest.raises(grpc.RpcError):
        list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="B"), timeout=5))


def compressed(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    stub.GetTeam(teams_pb2.TeamRequest(city="Boston" * 50), compression=grpc.Compression.Gzip, timeout=5)


def large(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    stub.GetTeam(teams_pb2.TeamRequest(city="large"), timeout=20)
    stub.GetTeam(teams_pb2.TeamRequest(city="x" * 3_000_000), timeout=20)


def concurrent(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    cities = (teams_pb2.TeamRequest(city=str(number)) for number in range(50))
    for future in [stub.GetTeam.future(city, timeout=20) for city in cities]:
        future.result()


def cancelled(stub: Stub, tap: WireTap, servicer: Overlay) -> None:
    call = stub.GetTeam.future(teams_pb2.TeamRequest(city="wait"))
    tap.wait_for(lambda talk: talk.calls[0].requests)
    call.cancel()
    tap.wait_for(lambda talk: talk.calls[0].end)
    servicer.free.set()


SCENES: Final[tuple[Callable[[Stub, WireTap, Overlay], None], ...]] = (
    unary,
    response_stream,
    request_stream,
    both_streams,
    trailers_only,
    abort_after_messages,
    compressed,
    large,
    concurrent,
    cancelled,
)

Seen = dict[tuple[int, Sender], list[tuple[tuple[int, int, int, int], list[tuple[str, str]]]]]
"""By connection and sender: type, flags, stream and length of each frame, and its headers."""


@pytest.fixture(scope="module")
def recording() -> Recording:
    """All scenes, each on a connection of its own, with the number of the scene."""
    chunks = []
    servicer = Overlay()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with BackgroundServer(servicer, options=options) as server:
        for number, scene in enumerate(SCENES):
            with WireTap(server) as tap, grpc.insecure_channel(tap.address, options) as channel:
                scene(Stub(channel), tap, servicer)
                recorded = tap.recording
            chunks += [replace(chunk, connection=number) for chunk in recorded.chunks]
    return Recording(tuple(chunks))


@pytest.fixture(scope="module")
def theirs(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What tshark reads."""
    if shutil.which("tshark") is None:
        missing(MISSING)
    path = tmp_path_factory.mktemp("tshark") / "recording.pcap"
    write_pcap(recording, path)
    command = ["tshark", "-r", path, "-d", f"tcp.port=={PORT},http2", "-Y", "http2", "-T", "pdml", "-J", "tcp http2"]
    pdml = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    seen: Seen = {(number, sender): [] for number in range(len(SCENES)) for sender in ("client", "server")}
    for packet in ElementTree.fromstring(pdml).iter("packet"):
        ports = [int(shown(packet, f"tcp.{side}port")) for side in ("src", "dst")]
        sender: Sender = "client" if ports[1] == PORT else "server"
        for stream in packet.iterfind(".//field[@name='http2.stream']"):
            if stream.find("field[@name='http2.type']") is None:
                continue  # the preface
            numbers = [int(shown(stream, f"http2.{name}"), 0) for name in ("type", "flags", "streamid", "length")]
            headers = [
                (shown(header, "http2.header.name"), shown(header, "http2.header.value"))
                for header in stream.iterfind(".//field[@name='http2.header']")
            ]
            kind, flags, number, length = numbers
            seen[max(ports) - PORT - 1, sender].append(((kind, flags, number, length), headers))
    return seen


@pytest.fixture(scope="module")
def ours(recording: Recording) -> Conversation:
    conversation = decode(recording)
    assert conversation.problems == ()
    return conversation


def shown(element: ElementTree.Element, name: str) -> str:
    field = element.find(f".//field[@name='{name}']")
    assert field is not None
    return field.get("show", "")


def write_pcap(recording: Recording, path: Path) -> None:
    """Write a recording as packets of TCP over IPv4, each client on a port of its own.

    Source: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html
    """
    sent: dict[tuple[int, Sender], int] = {}
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101))  # 101: packets begin with IP
        count = 0
        for chunk in recording.chunks:
            for begin in range(0, len(chunk.data), SEGMENT):
                payload = chunk.data[begin : begin + SEGMENT]
                ports = (PORT + 1 + chunk.connection, PORT)
                addresses = (b"\x0a\0\0\x01", b"\x0a\0\0\x02")
                other: Sender = "client"
                if chunk.sender == "client":
                    other = "server"
                else:
                    ports, addresses = ports[::-1], addresses[::-1]
                key = chunk.connection, chunk.sender
                position = 1 + sent.get(key, 0)
                sent[key] = sent.get(key, 0) + len(payload)
                received = 1 + sent.get((chunk.connection, other), 0)
                tcp = struct.pack(">HHIIBBHHH", *ports, position, received, 5 << 4, 0x18, 65535, 0, 0)
                size = 20 + len(tcp) + len(payload)
                ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, count & 0xFFFF, 0, 64, 6, 0, *addresses)
                count += 1
                file.write(struct.pack("<IIII", count // 1000, count % 1000 * 1000, size, size) + ip + tcp + payload)


def sent_by(conversation: Conversation, number: int, sender: Sender) -> list[Frame]:
    """Its frames on a connection; neither the preface nor the end is one."""
    return [
        frame
        for frame in conversation.frames
        if (frame.connection, frame.sender) == (number, sender) and frame.kind not in ("PREFACE", "CLOSED", "RESET")
    ]


@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("number", range(len(SCENES)), ids=[scene.__name__ for scene in SCENES])
def test_frames_are_those_of_wireshark(ours: Conversation, theirs: Seen, number: int, sender: Sender) -> None:
    found = sent_by(ours, number, sender)
    assert found
    assert [(frame.raw[3], frame.raw[4], frame.stream, frame.length) for frame in found] == [
        numbers for numbers, _ in theirs[number, sender]
    ]


@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("number", range(len(SCENES)), ids=[scene.__name__ for scene in SCENES])
def test_headers_are_those_of_wireshark(ours: Conversation, theirs: Seen, number: int, sender: Sender) -> None:
    found = [frame for frame in sent_by(ours, number, sender) if isinstance(frame, HeadersFrame)]
    assert found or SCENES[number] is cancelled  # before it was answered
    shown = [headers for (kind, _, _, _), headers in theirs[number, sender] if kind == 1]
    for frame, headers in zip(found, shown, strict=True):
        assert [header.name for header in frame.headers] == [name for name, _ in headers]
        # Wireshark does not decode binary headers.
        assert [header for header in frame.headers if isinstance(header.value, str)] == [
            (name, value) for name, value in headers if not name.endswith("-bin")
        ]
