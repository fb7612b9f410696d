"""Send a stream of requests.

The upload's check serves the contract that the notebook compiles: it takes the modules of the learner's kernel.
"""

import hashlib
import importlib
import io
import threading
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Final

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, connect, exercise, expect_equal, serve

import grpc

LIMIT: Final = 4 * 1024 * 1024
"""The largest message that a receiver accepts by default, in bytes."""


def _game(home: str, away: str, home_score: int = 3, away_score: int = 1) -> teams_pb2.GameResult:
    return teams_pb2.GameResult(home_city=home, away_city=away, home_score=home_score, away_score=away_score)


@exercise(
    "06.1",
    title="Name the rejected games",
    stub='''
    def rejected(stub, games):
        """Report a list of games in one call; return those that the league rejects."""
        ...
    ''',
    solution="""
    def rejected(stub, games):
        summary = stub.ReportGames(iter(games), timeout=5)
        return [games[rejection.position] for rejection in summary.rejections]
    """,
    why="The positions in the summary count from 0, as the indices of a list do, so they lead back to what was sent.",
    hints=(
        "The summary has a list `rejections`; each of them has a `position` and a `reason`.",
        "`games` is a list. What does ReportGames want in its place?",
        "`games[rejection.position]` is one of the games to return.",
    ),
)
def _(answer: Any) -> None:
    server = serve(TeamsServicer())
    channel = connect(server.address)
    stub = teams_pb2_grpc.TeamsStub(channel)
    good, bad = _game("Boston", "Chicago"), [_game("Atlantis", "Boston"), _game("Seattle", "Seattle")]
    for name, games, expected in (
        ("three games, of which the first and the last are bad", [bad[0], good, bad[1]], bad),
        ("two good games", [good, good], []),
        ("no games", [], []),
    ):
        before = len(server.calls)
        got = called(answer, stub, list(games))
        calls = len(server.calls) - before
        if calls != 1:
            raise NotYet(f"I called rejected with {name}. Expected one call to the server, but {calls} came.")
        if not isinstance(got, list | tuple):
            raise NotYet(f"I called rejected with {name}. Expected a list of games, but got {got!r}.")
        if not all(isinstance(each, teams_pb2.GameResult) for each in got):
            kinds = ", ".join(sorted({type(each).__name__ for each in got}))
            raise NotYet(f"I called rejected with {name}. Expected GameResults in the list, but it holds {kinds}.")
        expect_equal(
            call=f"rejected with {name}",
            expected=[f"{each.home_city} - {each.away_city}" for each in expected],
            got=[f"{each.home_city} - {each.away_city}" for each in got],
        )


@exercise(
    "06.2",
    title="Mend an upload",
    stub='''
    def upload(stub, clip):
        """Send a clip in pieces, and its digest last; return the receipt."""
        digest = hashlib.sha256()
        requests = []
        while data := clip.read(5_000_000):
            requests.append(clips_pb2.Part(data=data))
        digest.update(data)
        requests.append(clips_pb2.Part(sha256=digest.digest()))
        return stub.Upload(requests, timeout=3)
    ''',
    solution="""
    def upload(stub, clip):
        def requests():
            digest = hashlib.sha256()
            while data := clip.read(64_000):
                digest.update(data)
                yield clips_pb2.Part(data=data)
            yield clips_pb2.Part(sha256=digest.digest())

        return stub.Upload(requests(), timeout=3)
    """,
    why="Each piece fits into a message and is added to the digest, and the generator never holds more than one.",
    hints=(
        "Run it on a small file: `upload(clips_stub, io.BytesIO(b'short'))`, and look at `log.buffer[-1].exc_info`. "
        "Mend that and run it again; at the end upload six megabytes.",
        "What does a stub want in the place of a list? What is in `data` when the digest gets it? And how large may "
        "one message be?",
        "Pass `iter(requests)`, or better a generator. Call `digest.update(data)` in the loop, for each piece. And "
        "read pieces of less than 4 MiB: 64,000 bytes, say.",
    ),
)
def _(answer: Any) -> None:
    try:
        messages, services = importlib.import_module("clips_pb2"), importlib.import_module("clips_pb2_grpc")
    except ModuleNotFoundError:
        raise NotYet("Run the cells that write and compile clips.proto first: the upload needs its modules.") from None
    uploads: list[tuple[bytes, bytes]] = []  # the data, and the digest that the client gave

    class Clips(services.ClipsServicer):  # type: ignore[misc, name-defined]
        def Upload(self, request_iterator: Iterator[Any], context: grpc.ServicerContext) -> Any:
            pieces, given = [], b""
            for part in request_iterator:
                pieces.append(part.data)
                given = part.sha256
            data = b"".join(pieces)
            uploads.append((data, given))
            return messages.Receipt(size=len(data))

    channel = connect(serve(Clips()).address)
    stub = services.ClipsStub(channel)
    for size in (5, 0, 200_000, LIMIT + 900_000):
        clip = b"Orcas" * (size // 5)
        uploads.clear()
        receipt = called(answer, stub, io.BytesIO(clip))
        what = f"I uploaded a clip of {len(clip):,} bytes."
        if not uploads:
            raise NotYet(f"{what} No upload has come to its end.")
        data, given = uploads[-1]
        if len(data) != len(clip):
            raise NotYet(f"{what} The server has received {len(data):,}.")
        if not given:
            raise NotYet(f"{what} The last message had no sha256.")
        if data != clip or given != hashlib.sha256(clip).digest():
            raise NotYet(f"{what} All of them came, but the digest in the last message isn't theirs.")
        if not isinstance(receipt, messages.Receipt):
            raise NotYet(f"{what} Expected the receipt back, but got {receipt!r}.")


@exercise(
    "06.3",
    title="Raise what the generator raised",
    stub='''
    def report(stub, results):
        """Stream the results; raise what their generator raises."""
        ...
    ''',
    solution="""
    def report(stub, results):
        failures = []

        def watched():
            try:
                yield from results
            except Exception as failure:
                failures.append(failure)
                raise

        try:
            return stub.ReportGames(watched(), timeout=5)
        except grpc.RpcError:
            if failures:
                raise failures[0]
            raise
    """,
    why="The wrapper runs in gRPC's thread and leaves the exception where the caller's thread finds it. Because it "
    "raises again, the call fails, and the server doesn't get a half season as a whole one.",
    hints=(
        "Wrap the generator in one of your own: `yield from results` inside of a `try`. What it catches it raises "
        "again, so that the call fails.",
        "The wrapper runs in another thread. A list that both can see carries the exception over. (A plain variable of "
        "`report` needs `nonlocal` in the wrapper, or the wrapper fills one of its own.)",
        "After `except grpc.RpcError`: if the list holds an exception raise it, if not `raise` on its own.",
    ),
)
def _(answer: Any) -> None:
    arrived = threading.Event()
    servicer = TeamsServicer()
    server = serve(servicer)
    channel = connect(server.address)
    servicer.league.listen(lambda game: arrived.set())
    sent = _Sent()
    stub = teams_pb2_grpc.TeamsStub(grpc.intercept_channel(channel, sent))
    streamed = []

    def two_games() -> Iterator[teams_pb2.GameResult]:
        yield _game("Boston", "Chicago")
        streamed.append(arrived.wait(timeout=1.5))
        yield _game("Boston", "Detroit")

    summary = called(answer, stub, two_games())
    if not isinstance(summary, teams_pb2.SeasonSummary):
        raise NotYet(f"I called report with two good games. Expected the summary, but got {summary!r}.")
    expect_equal(call="report with two good games and counted them", expected=2, got=summary.accepted)
    if streamed != [True]:
        raise NotYet(
            "The second game was asked for before the first had left. Don't collect the games: send as you go."
        )

    failure = KeyError("Atlantis")

    def broken() -> Iterator[teams_pb2.GameResult]:
        yield _game("Seattle", "Chicago")
        raise failure

    sent.calls.clear()
    _expect_failure(answer, stub, broken(), failure, "with a generator that raises KeyError('Atlantis')")
    if any(call.code() is grpc.StatusCode.OK for call in sent.calls):
        raise NotYet(
            "I called report with a generator that raises KeyError('Atlantis'). It was raised, but the call had ended "
            "with OK: the server takes half a season for a whole one. Let the call fail too."
        )
    server.stop()
    _expect_failure(answer, stub, iter([_game("Seattle", "Chicago")]), grpc.RpcError, "while the server is down")


class _Sent(grpc.StreamUnaryClientInterceptor):
    """Keeps the calls. Their status is the client's: on the server, the end of a broken stream is a race."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        self.calls.append(continuation(client_call_details, request_iterator))
        return self.calls[-1]


def _expect_failure(
    answer: Any, stub: Any, results: Iterator[Any], expected: Exception | type[Exception], when: str
) -> None:
    try:
        got = called(answer, stub, results)
    except NotYet:
        raise
    except Exception as error:
        if error is expected or (isinstance(expected, type) and isinstance(error, expected)):
            return
        name = f"StatusCode.{error.code().name}" if isinstance(error, grpc.Call) else repr(error)
        wanted = "a grpc.RpcError" if isinstance(expected, type) else "that exception"
        text = f"I called report {when}. Expected {wanted} to be raised, but {name} was."
        if isinstance(error, grpc.RpcError) and _wraps(answer):
            text += " If your inner function keeps it in a variable of report, is that one `nonlocal`?"
        raise NotYet(text) from None
    raise NotYet(f"I called report {when}. Expected an exception, but it returned {got!r}.")


def _wraps(answer: Any) -> bool:
    """Whether the function holds one of its own, which may have lost the exception in a local variable."""
    constants = answer.__code__.co_consts if isinstance(answer, FunctionType) else ()
    return any(isinstance(each, CodeType) and each.co_name.isidentifier() for each in constants)
