"""Calls and messages: of real calls through a tap, and of recordings made by hand."""

import gzip
import threading
import zlib
from collections.abc import Iterator, Sequence

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.wire.calls import MAX_DATA, Call, Conversation, Message, decode
from teams_lib.wire.frames import PREFACE, DataFrame
from teams_lib.wire.recording import Chunk, Recording
from teams_lib.wire.tap import WireTap

import grpc
import hpack
import hyperframe.frame as hf
import pytest
from google.protobuf.descriptor_pool import DescriptorPool

REQUEST = ((":method", "POST"), (":scheme", "http"), (":path", "/Teams/GetTeam"), ("content-type", "application/grpc"))
RESPONSE = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"),)


class Overlay(TeamsServicer):
    """Teams that a test can hold up, break off, and make large."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        if request.city == "wait":
            self.free.wait(10)
        if request.city == "":
            context.set_trailing_metadata((("why-bin", b"\0\1"), ("why", "no city")))
            context.abort(grpc.StatusCode.NOT_FOUND, "no city, naïve %41\n")
        return teams_pb2.TeamResponse(city=request.city, nickname="x" if request.city != "large" else "x" * 3_000_000)

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        yield teams_pb2.TeamResponse(city="Boston")
        if request.city_prefix:
            context.abort(grpc.StatusCode.DATA_LOSS, "no more")


@pytest.fixture(scope="module")
def servicer() -> Overlay:
    return Overlay()


@pytest.fixture(scope="module")
def server(servicer: Overlay) -> Iterator[BackgroundServer]:
    with BackgroundServer(servicer) as server:
        yield server


@pytest.fixture
def tap(server: BackgroundServer) -> Iterator[WireTap]:
    with WireTap(server) as tap:
        yield tap


@pytest.fixture
def stub(tap: WireTap) -> Iterator[teams_pb2_grpc.TeamsStub]:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(tap.address, options) as channel:
        yield teams_pb2_grpc.TeamsStub(channel)


def headers(stream: int, pairs: Sequence[tuple[str, str]], *flags: str) -> bytes:
    return hf.HeadersFrame(stream, hpack.Encoder().encode(pairs), flags=("END_HEADERS", *flags)).serialize()


def data(stream: int, sent: bytes, *flags: str) -> bytes:
    return hf.DataFrame(stream, sent, flags=flags).serialize()


def prefixed(body: bytes, compressed: int = 0) -> bytes:
    return bytes([compressed]) + len(body).to_bytes(4) + body


def talk(client: bytes = b"", server: bytes = b"", end: bool = False) -> Conversation:
    """What the two sent, behind the client's preface and the settings of both."""
    opening = hf.SettingsFrame().serialize()
    chunks = [Chunk(1, "client", 0.0, PREFACE + opening + client), Chunk(1, "server", 1.0, opening + server)]
    if end:
        chunks.append(Chunk(1, "server", 2.0, end="reset"))
    return decode(Recording(tuple(chunks)))


def answered(*responses: bytes, encoding: str = "gzip") -> Call:
    """A call whose response body is these bytes."""
    server = headers(1, (*RESPONSE, ("grpc-encoding", encoding)))
    server += b"".join(data(1, response) for response in responses) + headers(1, TRAILERS, "END_STREAM")
    [call] = talk(headers(1, REQUEST) + data(1, prefixed(b""), "END_STREAM"), server).calls
    return call


# Real calls.


def test_a_unary_call(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    request, response = teams_pb2.TeamRequest(city="Boston"), teams_pb2.TeamResponse(city="Boston", nickname="x")
    assert stub.GetTeam(request, timeout=5) == response
    conversation = tap.decode()
    [call] = conversation.calls
    assert repr(call) == "<Call /Teams/GetTeam, stream 1, 1 request, 1 response, OK>"
    assert (call.method, call.stream, call.connection, call.problem) == ("/Teams/GetTeam", 1, 1, "")
    assert (call.status, call.details, call.end, call.reset_by) == (grpc.StatusCode.OK, "", "trailers", None)
    assert [message.value for message in (*call.requests, *call.responses)] == [request, response]
    assert dict(call.request_headers)["te"] == "trailers"
    assert dict(call.response_headers)[":status"] == "200"
    assert dict(call.trailers)["grpc-status"] == "0"
    assert [frame.kind for frame in call.frames if frame.kind in ("HEADERS", "DATA")] == ["HEADERS", "DATA"] * 2 + [
        "HEADERS"
    ]
    assert conversation.problems == ()


def test_the_four_kinds_of_calls(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    game = teams_pb2.GameResult(home_city="Boston", away_city="Chicago", home_score=1)
    follow = teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city="Boston")
    stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=5)
    list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))
    stub.ReportGames(iter([game] * 3), timeout=5)
    list(stub.FollowTeams(iter([follow] * 2), timeout=5))
    calls = tap.decode().calls
    assert [(call.method, call.stream, len(call.requests), len(call.responses)) for call in calls] == [
        ("/Teams/GetTeam", 1, 1, 1),
        ("/Teams/ListTeams", 3, 1, 1),
        ("/Teams/ReportGames", 5, 3, 1),
        ("/Teams/FollowTeams", 7, 2, 2),
    ]
    assert calls[2].requests[2].value == game
    assert isinstance(calls[3].responses[0].value, teams_pb2.ScoreUpdate)


def test_an_error_before_any_message_is_trailers_only(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    with pytest.raises(grpc.RpcError):
        stub.GetTeam(teams_pb2.TeamRequest(), timeout=5)
    [call] = tap.decode().calls
    assert (call.status, call.end, call.responses) == (grpc.StatusCode.NOT_FOUND, "trailers-only", ())
    assert call.details == "no city, naïve %41\n"
    trailers = dict(call.trailers)
    assert (trailers["why-bin"], trailers["why"]) == (b"\0\1", "no city")
    assert trailers["grpc-message"] == "no city, na%C3%AFve %2541%0A"
    assert call.response_headers == ()


def test_an_error_after_messages_comes_in_trailers(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    with pytest.raises(grpc.RpcError):
        list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="x"), timeout=5))
    [call] = tap.decode().calls
    assert (call.status, call.end, len(call.responses)) == (grpc.StatusCode.DATA_LOSS, "trailers", 1)


def test_a_cancelled_call_ends_by_rst_stream(tap: WireTap, stub: teams_pb2_grpc.TeamsStub, servicer: Overlay) -> None:
    servicer.free.clear()
    call = stub.GetTeam.future(teams_pb2.TeamRequest(city="wait"))
    assert tap.wait_for(lambda talk: talk.calls[0].requests).calls[0].end == ""
    call.cancel()
    [cancelled] = tap.wait_for(lambda talk: talk.calls[0].end).calls
    servicer.free.set()
    assert (cancelled.end, cancelled.reset_by, cancelled.status) == ("RST_STREAM", "client", None)
    assert repr(cancelled) == "<Call /Teams/GetTeam, stream 1, 1 request, 0 responses, ended by RST_STREAM>"


def test_gzip(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    request = teams_pb2.TeamRequest(city="Boston" * 100)
    stub.GetTeam(request, compression=grpc.Compression.Gzip, timeout=5)
    [call] = tap.decode().calls
    [message] = call.requests
    assert (message.compressed, message.encoding, message.value, message.problem) == (True, "gzip", request, "")
    assert len(message.body) < len(message.data)
    assert message.data == gzip.decompress(message.body)
    assert [part.label for part in message.parts] == ["compressed flag", "message length", "message, gzip"]


def test_a_large_message_comes_in_many_frames(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    stub.GetTeam(teams_pb2.TeamRequest(city="large"), timeout=5)
    [message] = tap.decode().calls[0].responses
    assert len(message.frames) > 1
    assert message.value == teams_pb2.TeamResponse(city="large", nickname="x" * 3_000_000)
    assert message.prefix + message.body == b"".join(frame.data for frame in message.frames)
    second = message.frames[1]
    claimed = len(message.body)
    begin = len(message.frames[0].data) - 5
    assert second.parts[-1].value == f"bytes {begin} to {begin + len(second.data) - 1} of {claimed}"


def test_metadata_both_as_text_and_as_bytes(tap: WireTap, stub: teams_pb2_grpc.TeamsStub) -> None:
    metadata = (("colour", "blue"), ("token-bin", b"\0\xff,"), ("token-bin", b"two"))
    stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), metadata=metadata, timeout=5)
    [call] = tap.decode().calls
    assert tuple(header for header in call.request_headers if header.name in dict(metadata)) == metadata


def test_calls_at_once_on_one_connection_have_streams_of_their_own(
    tap: WireTap, stub: teams_pb2_grpc.TeamsStub
) -> None:
    cities = [str(number) for number in range(20)]
    for future in [stub.GetTeam.future(teams_pb2.TeamRequest(city=city), timeout=5) for city in cities]:
        future.result()
    calls = tap.decode().calls
    assert [call.stream for call in calls] == list(range(1, 41, 2))
    assert sorted(call.requests[0].value.city for call in calls) == sorted(cities)
    assert all(call.requests[0].value.city == call.responses[0].value.city for call in calls)


# Messages.


def test_borders_of_frames_are_not_borders_of_messages() -> None:
    one, two = prefixed(b"\x0a\x01a"), prefixed(b"\x0a\x01b")
    whole = one + two + prefixed(b"")
    for cut in range(len(whole)):
        responses = answered(whole[:cut], whole[cut:]).responses
        assert [message.data for message in responses] == [b"\x0a\x01a", b"\x0a\x01b", b""]
        assert [message.problem for message in responses] == ["", "", ""]


def test_the_parts_of_a_frame_name_the_fields_of_whole_messages() -> None:
    [message] = answered(prefixed(b"\x0a\x06Boston")).responses
    [frame] = message.frames
    assert [(part.label, part.value) for part in frame.parts[4:]] == [
        ("compressed flag", "0"),
        ("message length", "8"),
        ("city: key", "1, LEN"),
        ("city: length", "6"),
        ("city", "Boston"),
    ]
    assert [part.start for part in message.parts] == [part.start - 9 for part in frame.parts[4:]]


def test_parts_cover_all_bytes_of_a_frame_wherever_messages_are_cut() -> None:
    whole = prefixed(b"\x0a\x06Boston") * 2 + b"\0\0"
    for first in range(len(whole)):
        for second in range(first, len(whole), 5):
            call = answered(whole[:first], whole[first:second], whole[second:])
            for frame in call.frames:
                assert [part.start for part in frame.parts] == [0, *(part.end for part in frame.parts[:-1])]
                assert frame.parts[-1].end == frame.size


def test_without_the_class_there_are_raw_fields() -> None:
    conversation = decode(
        Recording((Chunk(1, "client", 0.0, PREFACE + headers(1, REQUEST) + data(1, prefixed(b"\x0a\x01a"))),)),
        pool=DescriptorPool(),
    )
    [message] = conversation.calls[0].requests
    assert (message.value, message.descriptor, message.fields[0].value) == (None, None, b"a")
    assert [part.label for part in message.parts[2:]] == ["1: key", "1: length", "1"]


@pytest.mark.parametrize("path", ["/Teams/Nope", "", "/", "*", "//", "/Teams/GetTeam/", "\0"])
def test_a_method_that_nobody_knows_has_raw_fields(path: str) -> None:
    request = [(name, path if name == ":path" else value) for name, value in REQUEST]
    [call] = talk(headers(1, request) + data(1, prefixed(b"\x0a\x01a"))).calls
    assert (call.method, call.requests[0].value) == (path, None)


@pytest.mark.parametrize(
    ("sent", "encoding", "problem"),
    [
        (prefixed(b"\x0a\x09a"), "gzip", "not a TeamResponse: the bytes make no message of it"),
        (prefixed(b"abc", 2), "gzip", "the compressed flag is 2; it is 0 or 1"),
        (prefixed(b"abc")[:3], "gzip", "truncated: 3 of 5 bytes of the prefix"),
        (prefixed(b"abc")[:7], "gzip", "truncated: 2 of 3 bytes"),
        (b"\0\xff\xff\xff\xffabc", "gzip", "truncated: 3 of 4294967295 bytes"),
        (prefixed(b"abc", 1), "snappy", "compressed, but grpc-encoding is 'snappy': it can not be read here"),
        (prefixed(b"abc", 1), "identity", "compressed, but grpc-encoding is 'identity': it can not be read here"),
        (
            prefixed(b"abc", 1),
            "gzip",
            "can not be decompressed: Error -3 while decompressing data: incorrect header check",
        ),
        (prefixed(gzip.compress(b"abc", mtime=0)[:-9], 1), "gzip", "truncated: the compressed data goes on"),
        (prefixed(gzip.compress(b"", mtime=0) + b"abc", 1), "gzip", "3 bytes follow the compressed data"),
    ],
)
def test_a_bad_message_says_what_is_wrong(sent: bytes, encoding: str, problem: str) -> None:
    [message] = answered(sent, encoding=encoding).responses
    assert message.problem == problem
    assert problem in repr(message)
    assert message.value is None


def test_deflate_is_the_format_of_zlib() -> None:
    [message] = answered(prefixed(zlib.compress(b"\x0a\x01a"), 1), encoding="deflate").responses
    assert (message.value, message.problem) == (teams_pb2.TeamResponse(city="a"), "")


def test_a_bomb_of_zeros_is_not_decompressed_to_its_end() -> None:
    zeros = gzip.compress(bytes(MAX_DATA + 1), 9)
    [message] = answered(*(prefixed(zeros, 1)[at : at + 16384] for at in range(0, len(zeros) + 5, 16384))).responses
    assert (len(message.data), message.problem) == (
        MAX_DATA,
        "larger than 64 MiB when decompressed: the rest is not read",
    )


# Statuses and ends.


def status(*trailers: tuple[str, str]) -> Call:
    server = headers(1, RESPONSE) + headers(1, trailers, "END_STREAM")
    [call] = talk(headers(1, REQUEST), server).calls
    return call


def test_a_status_that_nobody_knows_is_unknown() -> None:
    for text in ("17", "", "-1", "OK", "9" * 5000, "٣"):
        assert status(("grpc-status", text)).status is grpc.StatusCode.UNKNOWN
    assert status(("grpc-status", "5")).status is grpc.StatusCode.NOT_FOUND
    assert status(("other", "5")).status is None


def test_details_are_decoded_as_far_as_they_can_be() -> None:
    assert status(("grpc-message", "100%25 na%C3%AFve")).details == "100% naïve"
    assert status(("grpc-message", "100% %zz a+b")).details == "100% %zz a+b"
    assert status(("grpc-message", "%ff")).details == "\N{REPLACEMENT CHARACTER}"


def test_informational_headers_are_not_the_response() -> None:
    server = headers(1, [(":status", "103")]) + headers(1, RESPONSE) + headers(1, TRAILERS, "END_STREAM")
    [call] = talk(headers(1, REQUEST), server).calls
    assert (dict(call.response_headers)[":status"], call.status) == ("200", grpc.StatusCode.OK)


def test_a_call_without_an_end_is_open_or_ended_by_its_connection() -> None:
    [call] = talk(headers(1, REQUEST)).calls
    assert (call.end, repr(call)) == ("", "<Call /Teams/GetTeam, stream 1, 0 requests, 0 responses, open>")
    conversation = talk(headers(1, REQUEST), end=True)
    [call], [connection] = conversation.calls, conversation.connections
    assert call.end == "connection"
    assert (connection.end, connection.ended_by) == ("reset", "server")


def test_goaway_ends_calls_that_the_server_did_not_process() -> None:
    client = headers(1, REQUEST) + headers(3, REQUEST)
    warning = hf.GoAwayFrame(last_stream_id=2**31 - 1).serialize()
    final = hf.GoAwayFrame(last_stream_id=1).serialize()
    assert [call.end for call in talk(client, warning).calls] == ["", ""]
    assert [call.end for call in talk(client, warning + final).calls] == ["", "GOAWAY"]
    assert [call.end for call in talk(client, warning + final, end=True).calls] == ["connection", "GOAWAY"]


def test_rst_stream_after_trailers_changes_nothing() -> None:
    server = headers(1, RESPONSE) + headers(1, TRAILERS, "END_STREAM") + hf.RstStreamFrame(1).serialize()
    [call] = talk(headers(1, REQUEST), server).calls
    assert (call.end, call.status, call.reset_by) == ("trailers", grpc.StatusCode.OK, "server")


def test_an_answer_that_is_not_grpc_has_no_messages() -> None:
    page = headers(1, [(":status", "502"), ("content-type", "text/html")]) + data(1, b"<html>Bad Gateway", "END_STREAM")
    [call] = talk(headers(1, REQUEST), page).calls
    assert (call.responses, call.status, call.end) == ((), None, "END_STREAM")
    assert call.problem == "content-type is text/html, not application/grpc: DATA is not read as messages"
    [frame] = [frame for frame in call.frames if isinstance(frame, DataFrame)]
    assert frame.parts[-1].label == "data"


def test_a_call_whose_beginning_is_missing_says_so() -> None:
    server = data(5, prefixed(b"\x0a\x01a")) + headers(5, TRAILERS, "END_STREAM")
    conversation = decode(Recording((Chunk(1, "server", 0.0, server),)))
    [call] = conversation.calls
    assert (call.method, call.status, call.end) == ("", grpc.StatusCode.OK, "trailers")
    assert call.problem == "the beginning of the call is not recorded, or not readable"
    assert len(call.responses) == len(conversation.problems) == 1


def test_a_call_whose_headers_are_not_readable_still_ends() -> None:
    lost = hf.HeadersFrame(1, b"\xff\xff", flags=["END_HEADERS"]).serialize()
    [call] = talk(headers(1, REQUEST), lost + headers(1, TRAILERS, "END_STREAM")).calls
    assert (call.response_headers, call.trailers, call.status, call.end) == ((), (), None, "trailers")


def test_what_comes_late_for_a_stream_opens_no_call() -> None:
    late = hf.WindowUpdateFrame(7, 5).serialize() + hf.RstStreamFrame(9).serialize() + headers(2, RESPONSE)
    assert talk(late).calls == ()


def test_an_encrypted_connection_has_no_calls() -> None:
    conversation = decode(Recording((Chunk(1, "server", 0.0, bytes.fromhex("15 03 03 00 02 02 46")),)))
    [connection] = conversation.connections
    assert (connection.encrypted, conversation.calls, conversation.problems) == (True, (), ())
    assert repr(connection) == "<Connection 1, 1 frames, encrypted>"


def test_an_empty_recording_is_an_empty_conversation() -> None:
    conversation = decode(Recording())
    assert (conversation.connections, conversation.frames, conversation.calls) == ((), (), ())
    assert repr(conversation) == "<Conversation: 0 connections, 0 frames, 0 calls>"


def test_a_message_says_what_it_is() -> None:
    [message] = answered(prefixed(b"\x0a\x01a")).responses
    assert isinstance(message, Message)
    assert repr(message) == "<TeamResponse from the server, 3 bytes>"
