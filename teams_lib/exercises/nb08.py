"""Read a call on the wire.

Every check compares with bytes that really passed: it makes calls through a tap of its own. Where the order of frames
matters, the calls wait for events on the wire.
"""

import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve
from teams_lib.wire import Conversation, Frame, WireTap

import grpc
from google.protobuf.message import DecodeError

FRAME: Final = bytes.fromhex(
    "00 00 19 00 00 00 00 00 05 00 00 00 00 14 0a 07 53 65 61 74 74 6c 65 12 06 42 6f 73 74 6f 6e 20 82 01"
)
"""The frame of exercise 08.1: DATA of stream 5."""

OWN: Final = (("grpc.use_local_subchannel_pool", 1),)
"""Channels to one address share a connection unless told otherwise."""

FORM: Final = re.compile(r"[0-9]+ (client|server) [A-Z_]+( END_STREAM)?")
"""How exercise 08.2 writes a frame."""

PATIENCE: Final = 1.5
"""Seconds that a check waits for what comes at once."""

CHICAGO: Final = teams_pb2.TeamRequest(city="Chicago")
GAME: Final = teams_pb2.GameResult(home_city="Boston", away_city="Seattle", home_score=7)
FOLLOW: Final = teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city="Boston")


def _tap(servicer: object | None = None) -> WireTap:
    """A tap before a server of its own, until the check ends."""
    tap = WireTap(serve(servicer or TeamsServicer()))
    clean_up(tap.close)
    return tap


def _stub(tap: WireTap) -> Any:
    return teams_pb2_grpc.TeamsStub(connect(tap.address, options=OWN))


@exercise(
    "08.1",
    title="Read a frame by hand",
    answer="reading",
    stub="""
    reading = {"calls_before": ..., "ends_its_half": ...}
    reading |= {"home_city": ..., "away_city": ..., "home_score": ..., "away_score": ...}
    """,
    solution="""
    reading = {"calls_before": 2, "ends_its_half": False}
    reading |= {"home_city": "Seattle", "away_city": "Boston", "home_score": 0, "away_score": 130}
    """,
    why="Stream 5 follows 1 and 3, no flag is set, field 3 is missing and so it is 0, and 82 01 is 2 + 1 × 128.",
    hints=(
        "Cut it: nine bytes of HTTP/2, five of gRPC, the rest is protobuf. Each key holds a field number and a type.",
        "The stream is 5, and clients number theirs 1, 3, 5. The flags are the fifth byte. Is there a key for field 3?",
        "The last field has the key 20: number 4, VARINT. Of 82 and 01 take seven bits each, the lowest first.",
    ),
)
def _(answer: Any) -> None:
    wanted = ("calls_before", "ends_its_half", "home_city", "away_city", "home_score", "away_score")
    if not isinstance(answer, dict) or sorted(answer) != sorted(wanted):
        raise NotYet(f"I expected a dict with the keys {', '.join(wanted)}.")
    open_keys = [key for key in wanted if answer[key] is ...]
    if open_keys:
        raise NotYet(f"Still to be read: {', '.join(open_keys)}.")
    before, ends = answer["calls_before"], answer["ends_its_half"]
    if not isinstance(before, int) or isinstance(before, bool) or not 0 <= before <= 20:
        raise NotYet("`calls_before` should be a small number, such as 0.")
    if not isinstance(ends, bool):
        raise NotYet("`ends_its_half` should be True or False.")
    if any(answer[key] is None for key in wanted):
        raise NotYet("None is not a value of protobuf: what does a program read for a field that isn't there?")
    try:
        game = teams_pb2.GameResult(**{key: answer[key] for key in wanted[2:]})
    except (TypeError, ValueError) as error:
        raise NotYet(f"I tried to make a GameResult of your reading: {error}") from None
    tap = _tap()
    stub = _stub(tap)
    for _ in range(before):
        stub.GetTeam(CHICAGO, timeout=2)
    stub.ReportGames(iter([game]), timeout=2)
    sent = bytearray(tap.decode().calls[-1].requests[0].frames[0].raw)
    sent[4] |= ends
    # First where the fields differ: the lengths before them only follow.
    order = [*range(14, max(len(sent), len(FRAME))), *range(14)]
    where = next((i for i in order if sent[i : i + 1] != FRAME[i : i + 1]), None)
    if where is not None:
        raise NotYet(
            f"I sent a frame with what you have read. At offset {where}, counted from 0, it has {_byte(sent, where)}, "
            f"the recording has {_byte(FRAME, where)}."
        )


def _byte(data: bytes | bytearray, index: int) -> str:
    return f"{data[index]:02x}" if index < len(data) else "none"


@exercise(
    "08.2",
    title="Predict the frames",
    stub="""
    prediction = ["1 client HEADERS", ...]
    """,
    solution="""
    prediction = [
        "1 client HEADERS",
        "1 client DATA",
        "1 client DATA",
        "1 client DATA END_STREAM",
        "1 server HEADERS",
        "1 server DATA",
        "1 server HEADERS END_STREAM",
        "3 client HEADERS",
        "3 client DATA END_STREAM",
        "3 server HEADERS END_STREAM",
    ]
    """,
    why="An iterator's end is an empty DATA frame of its own, and a call that ends without an answer is trailers-only.",
    hints=(
        "Look at the pictures of the four kinds: which frame ends the client's half when it streams?",
        "A second call on a connection has the next odd number. How does a server answer that sends no message?",
        "The first call has seven frames and the second three.",
    ),
)
def _(answer: Any) -> None:
    if not isinstance(answer, (list, tuple)) or not all(isinstance(each, str) or each is ... for each in answer):
        raise NotYet('I expected a list of texts such as "1 client HEADERS".')
    given = [" ".join(each.split()) if isinstance(each, str) else "…" for each in answer]
    odd = next((each for each in given if each != "…" and not FORM.fullmatch(each)), None)
    if odd is not None:
        raise NotYet(
            f"I can't read {odd!r}. The form is stream, sender and kind, with spaces between and the kind in capitals: "
            '"1 client HEADERS", or "3 server HEADERS END_STREAM".'
        )
    tap = _tap()
    stub = _stub(tap)
    stub.ReportGames(iter([GAME, GAME]), timeout=2)
    list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="Z"), timeout=2))
    seen = [_named(frame) for frame in tap.decode().frames if frame.kind in ("HEADERS", "DATA")]
    same = next((i for i, pair in enumerate(zip(given, seen, strict=False)) if pair[0] != pair[1]), None)
    if same is not None:
        raise NotYet(
            f"I made the two calls. The first {same} of your frames agree with the recording. Then you say "
            f"{given[same]!r}, and something else came."
        )
    if len(given) != len(seen):
        what = "more came" if len(given) < len(seen) else "nothing came after them"
        raise NotYet(
            f"I made the two calls. The first {min(len(given), len(seen))} frames agree with the recording, but {what}."
        )


def _named(frame: Frame) -> str:
    end = " END_STREAM" if "END_STREAM" in frame.flags else ""
    return f"{frame.stream} {frame.sender} {frame.kind}{end}"


class _Hasty(TeamsServicer):
    """Ends ReportGames before it has read the games: with an answer, or with an error."""

    def __init__(self, code: grpc.StatusCode | None = None) -> None:
        super().__init__()
        self.code = code

    def ReportGames(
        self, request_iterator: Iterator[teams_pb2.GameResult], context: grpc.ServicerContext
    ) -> teams_pb2.SeasonSummary:
        if self.code:
            context.abort(self.code, "too many games")
        return teams_pb2.SeasonSummary()


class _Waiting(TeamsServicer):
    """Answers GetTeam when its client is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        gone = threading.Event()
        context.add_callback(gone.set)
        self.entered.set()
        gone.wait(PATIENCE)
        return teams_pb2.TeamResponse()


def _four_kinds() -> Conversation:
    tap = _tap()
    stub = _stub(tap)
    stub.GetTeam(CHICAGO, timeout=2)
    stub.ReportGames(iter([GAME]), timeout=2)
    list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=2))
    list(stub.FollowTeams(iter([FOLLOW]), timeout=2))
    return tap.decode()


def _one_call() -> Conversation:
    tap = _tap()
    _stub(tap).GetTeam(CHICAGO, timeout=2)
    return tap.decode()


def _two_clients() -> Conversation:
    tap = _tap()
    stubs = _stub(tap), _stub(tap)
    for stub in stubs * 2:
        stub.GetTeam(CHICAGO, timeout=2)
    return tap.decode()


def _cancelled() -> Conversation:
    servicer = _Waiting()
    tap = _tap(servicer)
    call = _stub(tap).GetTeam.future(CHICAGO, timeout=2)
    servicer.entered.wait(PATIENCE)
    call.cancel()
    return tap.wait_for(lambda talk: talk.calls[0].end, PATIENCE)


def _refused() -> Conversation:
    tap = _tap()
    stub = _stub(tap)
    stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="x" * 65), timeout=2).code()
    stub.GetTeam(CHICAGO, timeout=2)
    return tap.decode()


def _new_connections() -> Conversation:
    tap = _tap()
    for _ in range(3):
        _stub(tap).GetTeam(CHICAGO, timeout=2)
    return tap.decode()


def _new_connections_that_stream() -> Conversation:
    tap = _tap()
    for _ in range(2):
        list(_stub(tap).ListTeams(teams_pb2.ListTeamsRequest(), timeout=2))
    return tap.decode()


def _early(code: grpc.StatusCode | None) -> Conversation:
    tap = _tap(_Hasty(code))
    stub = _stub(tap)
    over = threading.Event()

    def games() -> Iterator[teams_pb2.GameResult]:
        yield GAME
        over.wait(PATIENCE)

    stub.GetTeam(CHICAGO, timeout=2)
    call = stub.ReportGames.future(games(), timeout=2)
    call.code()  # waits for the end
    over.set()
    return tap.decode()


def _never_ending_reports() -> Conversation:
    tap = _tap()
    stub = _stub(tap)
    inbox: queue.SimpleQueue[teams_pb2.GameResult | None] = queue.SimpleQueue()
    inbox.put(GAME)
    stub.GetTeam(CHICAGO, timeout=2)
    call = stub.ReportGames.future(iter(inbox.get, None), timeout=2)
    tap.wait_for(lambda talk: talk.calls[1].requests, PATIENCE)
    call.cancel()
    talk = tap.wait_for(lambda talk: talk.calls[1].end, PATIENCE)
    inbox.put(None)
    return talk


def _never_ending_follower() -> Conversation:
    tap = _tap()
    inbox: queue.SimpleQueue[teams_pb2.FollowRequest | None] = queue.SimpleQueue()
    inbox.put(FOLLOW)
    updates = _stub(tap).FollowTeams(iter(inbox.get, None), timeout=2)
    next(updates)
    updates.cancel()
    talk = tap.wait_for(lambda talk: talk.calls[0].end, PATIENCE)
    inbox.put(None)
    return talk


CASES: Final[tuple[tuple[str, Callable[[], Conversation], str], ...]] = (
    ("three calls had a connection each", _new_connections, "new connections"),
    ("two streaming calls had a connection each", _new_connections_that_stream, "new connections"),
    ("one healthy call was all", _one_call, ""),
    ("two clients made two calls each", _two_clients, ""),
    ("ReportGames was answered before its stream ended", lambda: _early(None), "answered early"),
    (
        "ReportGames was refused before its stream ended",
        lambda: _early(grpc.StatusCode.RESOURCE_EXHAUSTED),
        "answered early",
    ),
    ("the client of ReportGames gave up with its stream open", _never_ending_reports, "no half-close"),
    ("the client of FollowTeams hung up by cancel()", _never_ending_follower, "no half-close"),
    ("a complete request was cancelled", _cancelled, ""),
    ("a complete request was refused", _refused, ""),
    ("there was a healthy call of each kind", _four_kinds, ""),
)
"""What happened in a conversation, how to record it, and what find_bug says of it."""


@exercise(
    "08.3",
    title="Find the bug in a recording",
    stub='''
    def find_bug(talk):
        """Return the name of the mistake in this conversation, or an empty text."""
        ...
    ''',
    solution="""
    def find_bug(talk):
        if len(talk.connections) == len(talk.calls) > 1:
            return "new connections"
        for call in talk.calls:
            ended = [frame.sender for frame in call.frames if "END_STREAM" in frame.flags]
            if not ended:
                return "no half-close"
            if ended[0] == "server":
                return "answered early"
        return ""
    """,
    why="END_STREAM ends a half: the senders of these frames, in order, tell who ended first, or that nobody did.",
    hints=(
        "For the first mistake, compare the lengths of `talk.connections` and `talk.calls`. One call alone is fine.",
        "Who ends a half sends `END_STREAM`. List, for each call, the senders of the frames that have it in `flags`.",
        "What is in that list after a healthy call, in which order? What if nobody ended, or the server was first?",
    ),
)
def _(answer: Any) -> None:
    for what, record, expected in CASES:
        talk = record()
        expect_equal(call=f"find_bug(talk), where {what}", expected=expected, got=called(answer, talk))


class _Refusing(TeamsServicer):
    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such city")


class _LongWinded(TeamsServicer):
    """Its answer does not fit in one DATA frame."""

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        return teams_pb2.TeamResponse(city=request.city, nickname="ha" * 20_000)


@exercise(
    "08.4",
    title="Call without gRPC",
    stub='''
    def raw_get_team(address, city):
        """Call GetTeam with h2; return nickname and status."""
        host, port = address.split(":")
        message = teams_pb2.TeamRequest(city=city).SerializeToString()
        nickname, status = "", ""
        with socket.create_connection((host, int(port)), timeout=1) as sock:
            side = H2Connection()
            side.initiate_connection()
            headers = [(":method", "POST"), (":scheme", "http"), (":authority", address)]
            side.send_headers(1, headers)
            side.send_data(1, message, end_stream=True)
            for event in pump(sock, side):
                if isinstance(event, events.StreamEnded | events.StreamReset):
                    break
        return nickname, status
    ''',
    solution='''
    def raw_get_team(address, city):
        """Call GetTeam with h2; return nickname and status."""
        host, port = address.split(":")
        message = teams_pb2.TeamRequest(city=city).SerializeToString()
        nickname, status, body = "", "", b""
        with socket.create_connection((host, int(port)), timeout=1) as sock:
            side = H2Connection()
            side.initiate_connection()
            headers = [(":method", "POST"), (":scheme", "http"), (":authority", address)]
            headers += [(":path", "/Teams/GetTeam")]
            headers += [("content-type", "application/grpc"), ("te", "trailers")]
            side.send_headers(1, headers)
            prefix = b"\\0" + len(message).to_bytes(4, "big")
            side.send_data(1, prefix + message, end_stream=True)
            for event in pump(sock, side):
                if isinstance(event, events.ResponseReceived | events.TrailersReceived):
                    found = dict(event.headers).get(b"grpc-status", b"")
                    status = found.decode() or status
                if isinstance(event, events.DataReceived):
                    body += event.data
                if isinstance(event, events.StreamEnded | events.StreamReset):
                    break
        if body:
            nickname = teams_pb2.TeamResponse.FromString(body[5:]).nickname
        return nickname, status
    ''',
    why="Three headers and a prefix make it gRPC; the status is in the trailers, or in the only headers of a refusal.",
    hints=(
        "The table of headers has the three that are missing: :path, content-type and te. Each is a pair of texts.",
        'The prefix: a zero byte, then `len(message).to_bytes(4, "big")`. The answer has one too: drop its five bytes.',
        "Collect `body` over all DataReceived events. b'grpc-status' is in TrailersReceived or in ResponseReceived.",
    ),
)
def _(answer: Any) -> None:
    cases: tuple[tuple[str, object, str, tuple[str, str]], ...] = (
        ("", TeamsServicer(), "Chicago", ("Jackals", "0")),
        ("", TeamsServicer(), "Miami", ("not a member", "0")),
        (" on a server that refuses", _Refusing(), "Atlantis", ("", "5")),
        (" on a server whose answer takes several DATA frames", _LongWinded(), "Boston", ("ha" * 20_000, "0")),
    )
    for where, servicer, city, expected in cases:
        said = f"raw_get_team(address, {city!r}){where}"
        tap = _tap(servicer)
        try:
            got = called(answer, tap.address, city)
        except TimeoutError:
            _require_request(said, tap)
            raise NotYet(f"I called {said}. It waited for more, and nothing more came.") from None
        except DecodeError:
            _require_request(said, tap)
            long = isinstance(servicer, _LongWinded)
            why = "the body comes in parts, and it's one message" if long else "the body begins with the prefix of gRPC"
            raise NotYet(f"I called {said}. What you parse is not a TeamResponse: {why}.") from None
        except KeyError as error:
            if error.args not in (("grpc-status",), (b"grpc-status",)):
                raise
            why = "h2 gives names as bytes" if error.args[0] == "grpc-status" else "not all headers have it"
            raise NotYet(f"I called {said}. Its headers have no {error.args[0]!r}: {why}.") from None
        _require_request(said, tap)
        expect_equal(call=said, expected=expected, got=tuple(got) if isinstance(got, list) else got)


def _require_request(said: str, tap: WireTap) -> None:
    """Look at what reached the server."""
    talk = tap.decode()
    if not talk.calls:
        raise NotYet(f"I called {said}. No request reached the server.")
    call = talk.calls[0]
    headers = dict(call.request_headers)
    if str(headers.get("user-agent", "")).startswith("grpc-"):
        raise NotYet(f"I called {said}. It works, but it was gRPC that made the call.")
    if call.method != "/Teams/GetTeam":
        raise NotYet(f"I called {said}. The server was asked for the path {call.method!r}.")
    if call.end == "RST_STREAM" and call.reset_by == "server":
        raise NotYet(f"I called {said}. The server reset the call: a header is missing that gRPC insists on.")
    if not str(headers.get("content-type", "")).startswith("application/grpc"):
        raise NotYet(f"I called {said}. This server doesn't mind, but the content-type is not one of gRPC's.")
    if not any("END_STREAM" in frame.flags for frame in call.frames if frame.sender == "client"):
        raise NotYet(f"I called {said}. The request has no end: no frame of it carries END_STREAM.")
    if len(call.requests) != 1 or call.requests[0].problem:
        problem = call.requests[0].problem if call.requests else "there is none"
        raise NotYet(f"I called {said}. The body of the request is not one message of gRPC: {problem}.")
