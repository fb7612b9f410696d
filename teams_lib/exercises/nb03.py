"""Run a server in the background."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve

import grpc

TIMEOUT: Final = 2.0
"""Seconds for what takes milliseconds: only a machine under heavy load comes near."""

PATIENCE: Final = 0.8
"""Seconds for a call that may have to wait behind a slow one."""

SLOW: Final = 1.6
"""Seconds after which a slow handler ends by itself: longer than `PATIENCE`, shorter than `TIMEOUT`."""


class _Slow(TeamsServicer):
    """Answers at once, but for Chicago: that handler waits until it may go, `SLOW` seconds at most."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.may_go = threading.Event()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        if request.city == "Chicago":
            self.entered.set()
            self.may_go.wait(SLOW)
        return teams_pb2.TeamResponse(city=request.city, nickname="Pilots")


def _stub(target: str) -> Any:
    return teams_pb2_grpc.TeamsStub(connect(target))


def _nickname(stub: Any, city: str, trouble: str = "", metadata: Sequence[tuple[str, str]] = ()) -> str:
    """The answer to a call; if there is none, what the learner should know about it."""
    try:
        response = stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=TIMEOUT, metadata=metadata)
    except grpc.RpcError as error:
        sent = f" with the metadata {dict(metadata)}" if metadata else ""
        how = f"It ended with {error.code().name}: {error.details()}"
        what = f"I called GetTeam(city={city!r}){sent}. {how.rstrip('.!')}. {trouble or _trouble(error)}"
        raise NotYet(what.strip()) from None
    return str(response.nickname)


def _trouble(error: Any) -> str:
    """Where to look in a handler, by what the caller got."""
    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
        return "Is your handler called GetTeam, letter for letter?"
    if "Exception calling application" in error.details():
        return (
            "The text after the last colon is what your handler raised; of a KeyError it is the key that was missing."
        )
    if "serialize" in error.details():
        return "Does every `return` of your handler give a TeamResponse?"
    return ""


def _answers(target: str) -> bool:
    try:
        _stub(target).GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=1)
    except grpc.RpcError as error:
        # Windows tries a closed port for two seconds.
        return error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return True


def _answers_on(target: str) -> bool:
    """Whether a server that should be stopped is still there after a while: `stop` alone takes a moment."""
    deadline = time.monotonic() + PATIENCE
    while answers := _answers(target):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return answers


@exercise(
    "03.1",
    title="Answer by name",
    stub="""
    class GreetingServicer(teams_pb2_grpc.TeamsServicer):
        def GetTeam(self, request, context):
            return ...
    """,
    solution="""
    class GreetingServicer(teams_pb2_grpc.TeamsServicer):
        def GetTeam(self, request, context):
            nickname = NICKNAMES.get(request.city, "not a member")
            metadata = dict(context.invocation_metadata())
            if "caller" in metadata:
                nickname += f" for {metadata['caller']}"
            return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
    """,
    why="Invocation metadata is a sequence of pairs, so dict() makes it easy to look for one key that may be missing.",
    hints=(
        "Begin with the body of `SmallServicer.GetTeam`. `CuriousServicer` shows where the caller's metadata is.",
        "The metadata is a sequence of pairs, which `dict()` takes. The key may be missing, so test for it first.",
        'After `if "caller" in metadata:` add " for " and its value to the nickname. Return a TeamResponse either way.',
    ),
)
def _(answer: Any) -> None:
    stub = _stub(serve(_greeting(answer)).address)
    for city, metadata, expected in (
        ("Chicago", (), "Jackals"),
        ("Chicago", (("caller", "ada"),), "Jackals for ada"),
        ("Boston", (("caller", "lin"), ("trace", "7")), "Revolutionaries for lin"),
        ("Miami", (("trace", "7"),), "not a member"),
    ):
        got = _nickname(stub, city, metadata=metadata)
        expect_equal(call=f"GetTeam(city={city!r}) with the metadata {dict(metadata)}", expected=expected, got=got)
    response = stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=TIMEOUT)
    expect_equal(call="GetTeam(city='Boston') and looked at .city", expected="Boston", got=response.city)


def _greeting(answer: Any) -> Any:
    try:
        return called(answer)
    except NotYet:  # it may inherit from SmallServicer, which takes the nicknames
        return called(answer, {"Chicago": "Jackals", "Boston": "Revolutionaries"})


@exercise(
    "03.2",
    title="Mend a server",
    stub="""
    def serve_well(servicer, address):
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        port = server.add_insecure_port(address)
        server.start()
        return server, port
    """,
    solution="""
    def serve_well(servicer, address):
        pool = futures.ThreadPoolExecutor(max_workers=10)
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        teams_pb2_grpc.add_TeamsServicer_to_server(servicer, server)
        port = server.add_insecure_port(address)
        server.start()
        return server, port
    """,
    why="The servicer is added before the start, several workers answer side by side, and a taken port is an error.",
    hints=(
        "Compare it with `serve`, step by step: which of the four steps is missing?",
        "How many handlers can run at once is a matter of the pool. The third fault is what gRPC does by default.",
        'The option is `("grpc.so_reuseport", 0)`, in a list that `grpc.server` takes as `options=`.',
    ),
    allow_threads=True,  # the idle workers of a learner's pool end when the pool is collected, whenever that is
)
def _(answer: Any) -> None:
    slow = _Slow()
    _, port = _started(answer, slow, "127.0.0.1:0")
    clean_up(slow.may_go.set)
    stub = _stub(f"127.0.0.1:{port}")
    _nickname(stub, "Boston", "Does the server know your servicer, and has it been started?")
    pending = stub.GetTeam.future(teams_pb2.TeamRequest(city="Chicago"), timeout=3.0)
    slow.entered.wait(TIMEOUT)
    try:
        stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=PATIENCE)
    except grpc.RpcError as error:
        raise NotYet(
            "I made a call whose handler is slow, and then a second one. Expected an answer to the second at once, "
            f"but it ended with {error.code().name} while the first was still running."
        ) from None
    slow.may_go.set()
    pending.result(TIMEOUT)
    try:
        _started(answer, slow, f"127.0.0.1:{port}")
    except RuntimeError:
        return
    raise NotYet("I started a second server on the address of the first. Expected a RuntimeError, but both run.")


def _started(answer: Any, servicer: object, address: str) -> tuple[Any, int]:
    try:
        got = called(answer, servicer, address)
    except ValueError as error:
        if "unpack" not in str(error):
            raise
        raise NotYet(
            f"I called serve_well(servicer, address). It raised ValueError: {error}. "
            "gRPC says this of `options` that are no list of pairs, each a name and a value."
        ) from None
    if not (isinstance(got, tuple) and len(got) == 2 and hasattr(got[0], "stop") and isinstance(got[1], int)):
        raise NotYet(
            f"I called serve_well(servicer, address). Expected the server and its port, an int, but got {got!r}."
        )
    clean_up(lambda: got[0].stop(0))
    return got[0], got[1]


@exercise(
    "03.3",
    title="Build a background server of your own",
    stub="""
    @contextmanager
    def serving(servicer, grace):
        yield ...
    """,
    solution="""
    @contextmanager
    def serving(servicer, grace):
        server, address = serve(servicer)
        try:
            yield address
        finally:
            server.stop(grace).wait()
    """,
    why="The `finally` runs however the block ends, and `stop` only begins to stop: its event says when it is over.",
    hints=(
        "You have a function that serves and returns the address: `serve`. Which address does it take by default?",
        "What stands after the `yield` is skipped when the block raises, unless it stands in a `finally`.",
        "`stop(grace)` returns at once, with an event. Leave only when that event is set.",
    ),
    allow_threads=True,  # as above
)
def _(answer: Any) -> None:
    slow = _Slow()
    clean_up(slow.may_go.set)
    with _block(answer, slow, grace=1) as address:
        if not isinstance(address, str):
            raise NotYet(f"I entered `with serving(servicer, 1) as address`. Expected text, but got {address!r}.")
        _nickname(_stub(address), "Boston", "Is that the address of a server that has been started?")
    if _answers_on(address):
        raise NotYet("I left the block, and the server still answers at its address. Expected it to be stopped.")
    _check_grace(answer)
    _check_exception(answer, slow)


def _block(answer: Any, servicer: object, grace: float) -> Any:
    block = called(answer, servicer, grace)
    if not hasattr(block, "__enter__"):
        raise NotYet(f"I called serving(servicer, {grace}). Expected something for a `with` block, but got {block!r}.")
    return block


def _check_exception(answer: Any, slow: _Slow) -> None:
    mine = ArithmeticError("raised in the block, on purpose")
    address = ""
    try:
        with _block(answer, slow, grace=0) as address:
            raise mine
    except ArithmeticError as error:
        caught: BaseException | None = error  # keeps the learner's frame, and so a server that nobody has stopped
    else:
        caught = None
    if caught is not mine:
        raise NotYet("I raised an exception in the block. Expected it to come out of the block, but it was swallowed.")
    if _answers(address):
        raise NotYet("I left the block by an exception, and the server still answers. Expected it to be stopped.")


def _check_grace(answer: Any) -> None:
    for grace, expected in ((3, "an answer"), (0, "UNAVAILABLE")):
        slow = _Slow()
        clean_up(slow.may_go.set)
        with _block(answer, slow, grace) as address:
            pending = _stub(address).GetTeam.future(teams_pb2.TeamRequest(city="Chicago"), timeout=4.0)
            slow.entered.wait(3.0)  # a call that comes after the stop is refused, whatever the grace
            if grace:
                threading.Timer(0.5, slow.may_go.set).start()
        early = not slow.may_go.is_set()
        error = pending.exception(TIMEOUT)
        got = error.code().name if error else "an answer"
        if got != expected:
            raise NotYet(
                f"I left the block of serving(servicer, {grace}) while a call ran that needs some time yet. "
                f"Expected {expected} for that call, but got {got}."
            )
        if grace and early:
            raise NotYet(
                f"I left the block of serving(servicer, {grace}) while a call ran that needs some time yet. "
                "Expected to be let out when it has its answer, but I was let out before."
            )
