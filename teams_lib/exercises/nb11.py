"""Send metadata, and intercept every call.

Every check makes real calls. Where a check must know what happens first, it waits for an event, not for a time.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve

import grpc

PATIENCE: Final = 1.5  # seconds that a check waits for what a right answer does at once
YEAR: Final = 365 * 24 * 3600.0
"""A call without a deadline has far more seconds left than these."""

CHICAGO: Final = teams_pb2.TeamRequest(city="Chicago")
TEAMS: Final = teams_pb2.ListTeamsRequest()
GAME: Final = teams_pb2.GameResult(home_city="Boston", away_city="Chicago", home_score=1)
FOLLOW: Final = teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city="Boston")


def _ended(make: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    """Make a call, and say with which code and details it ended."""
    try:
        make()
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def _explained(code: grpc.StatusCode, details: str) -> str:
    """How a call ended, with all that its caller was told."""
    text = f"{code.name}: {' '.join(details.split())}" if details else code.name
    if details == "Error in service handler!":
        text += (
            " That is all gRPC says when `intercept_service` raises. "
            "The details that it gets hold `method` and `invocation_metadata`, and nothing else."
        )
    return text


def _require(call: str, code: grpc.StatusCode, ended: tuple[grpc.StatusCode, str]) -> None:
    """A call must have ended with this code."""
    if ended[0] != code:
        raise NotYet(f"I called {call}. Expected {code.name}, but got {_explained(*ended)}")


def _made(answer: Any, kind: type, *arguments: Any) -> Any:
    """An interceptor, of the class that was handed in."""
    if isinstance(answer, kind):
        name = type(answer).__name__
        raise NotYet(f"I expected the class, {name}, but got an object of it. I make the object: write no brackets.")
    made = called(answer, *arguments)
    if not isinstance(made, kind):
        raise NotYet("I made an object of your class. It is no interceptor: keep the base class of the exercise.")
    return made


def _each_kind(stub: Any, metadata: Any) -> dict[str, Callable[[], Any]]:
    """A call of each kind, to be made."""
    options = {"timeout": PATIENCE, "metadata": metadata}
    return {
        "GetTeam": lambda: stub.GetTeam(CHICAGO, **options),
        "ListTeams": lambda: list(stub.ListTeams(TEAMS, **options)),
        "ReportGames": lambda: stub.ReportGames(iter([GAME]), **options),
        "FollowTeams": lambda: list(stub.FollowTeams(iter([]), **options)),
    }


@exercise(
    "11.1",
    title="Make metadata of a dict",
    stub="""
    def as_metadata(values):
        # Your code, in place of the dots.
        ...
    """,
    solution="""
    def as_metadata(values):
        metadata = []
        for key, value in values.items():
            key = key.lower()
            if value is None:
                continue
            if not isinstance(value, bytes):
                value = str(value)
                plain = value.isascii() and value.isprintable()
                if plain and not key.endswith("-bin"):
                    metadata.append((key, value))
                    continue
                value = value.encode()
            metadata.append((key if key.endswith("-bin") else f"{key}-bin", value))
        return metadata
    """,
    why="Only printable ASCII may travel as text; everything else is bytes, and `-bin` says so to both sides.",
    hints=(
        "Return a list of pairs. Which values may stay text? Which keys need `-bin`, and which have it already?",
        "`text.isascii() and text.isprintable()` is true for printable ASCII. `text.encode()` gives UTF-8.",
        "Under a key that ends in `-bin` every value has to be bytes, also a plain text. Test the key in lower case.",
    ),
)
def _(answer: Any) -> None:
    server = serve(TeamsServicer())
    stub: Any = teams_pb2_grpc.TeamsStub(connect(server.address))
    cases: list[tuple[dict[str, Any], list[tuple[str, str | bytes]]]] = [
        ({"caller": "ada"}, [("caller", "ada")]),
        ({"Caller": "ada"}, [("caller", "ada")]),
        ({"caller": "José"}, [("caller-bin", "José".encode())]),
        ({"note": "two\nlines"}, [("note-bin", b"two\nlines")]),
        ({"digest": b"\x00\xff"}, [("digest-bin", b"\x00\xff")]),
        ({"Digest-BIN": b"\x01"}, [("digest-bin", b"\x01")]),
        ({"note-bin": "plain"}, [("note-bin", b"plain")]),
        ({"attempt": 3, "share": 0.5}, [("attempt", "3"), ("share", "0.5")]),
        ({"caller": None, "tag": ""}, [("tag", "")]),
    ]
    for values, expected in cases:
        call = f"as_metadata({values!r})"
        metadata = called(answer, dict(values))
        if metadata is None:
            raise NotYet(f"I called {call}. Expected metadata, but got None.")
        try:
            stub.GetTeam(CHICAGO, timeout=PATIENCE, metadata=metadata)
        except grpc.RpcError as error:
            raise NotYet(
                f"I called {call}, and sent what I got: {metadata!r}. The call ended {error.code().name}: "
                f"{error.details()}"
            ) from None
        except (TypeError, ValueError, AttributeError) as error:
            raise NotYet(f"I called {call}. What I got could not be sent: {metadata!r}. gRPC says: {error}") from None
        arrived = sorted(tuple(pair) for pair in server.calls[-1].metadata if pair[0] != "user-agent")
        call += ", sent the result, and looked at what arrived"
        expect_equal(call=call, expected=sorted(expected), got=arrived)


class _Neighbours:
    """Knows ada and bob. Takes its time for bob, until `may_answer`."""

    def __init__(self) -> None:
        self.asked_for_bob, self.may_answer = threading.Event(), threading.Event()

    def is_known(self, name: Any) -> bool:
        if name == "bob":
            self.asked_for_bob.set()
            self.may_answer.wait(2 * PATIENCE)
        return name in ("ada", "bob")


class _Counting(TeamsServicer):
    """Counts the calls that reach a handler."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = 0

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.handled += 1
        return super().GetTeam(request, context)


@exercise(
    "11.2",
    title="Mend a door",
    stub="""
    class Door(grpc.ServerInterceptor):
        def __init__(self, is_known):
            self.is_known = is_known

        def refuse(self, request, context):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "nobody knows you")

        def intercept_service(self, continuation, details):
            if self.is_known(dict(details.invocation_metadata).get("caller")):
                return continuation(details)
            return grpc.unary_unary_rpc_method_handler(self.refuse)
    """,
    solution="""
    class Door(ServerInterceptor):
        def __init__(self, is_known):
            self.is_known = is_known

        def intercept(self, method, request, context, name):
            if not self.is_known(dict(context.invocation_metadata()).get("caller")):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "nobody knows you")
            return method(request, context)
    """,
    why="`intercept` runs in the call's own worker and around a handler of the right kind, which mends both.",
    hints=(
        "In which thread does `intercept_service` run? How many of them does a server have?",
        "`ServerInterceptor` of grpc-interceptor runs `intercept` in a worker, around the handler's function.",
        "There the metadata is `context.invocation_metadata()`, and `context.abort` refuses a call of any kind.",
    ),
)
def _(answer: Any) -> None:
    neighbours, servicer = _Neighbours(), _Counting()
    clean_up(neighbours.may_answer.set)
    door = _made(answer, grpc.ServerInterceptor, neighbours.is_known)
    channel = connect(serve(servicer, interceptors=[door]).address)
    stub: Any = teams_pb2_grpc.TeamsStub(channel)
    ada, bob = (("caller", "ada"),), (("caller", "bob"),)
    for kind, make in _each_kind(stub, ada).items():
        _require(f"{kind} as ada, who is known", grpc.StatusCode.OK, _ended(make))
    relocate: Any = channel.unary_unary("/Teams/Relocate")
    ended = _ended(lambda: relocate(b"", timeout=PATIENCE, metadata=ada))
    _require("Relocate, which nobody serves, as ada", grpc.StatusCode.UNIMPLEMENTED, ended)
    denied = grpc.StatusCode.PERMISSION_DENIED
    before = servicer.handled
    for metadata in ([("caller", "eve")], []):
        for kind, make in _each_kind(stub, metadata).items():
            ended = _ended(make)
            call = f"{kind} as " + ("eve, who is not known" if metadata else "nobody in particular")
            _require(call, denied, ended)
            expect_equal(call=f"{call}, and read the text", expected="nobody knows you", got=ended[1])
    if servicer.handled > before:
        raise NotYet("I called GetTeam as eve. She was refused, but the handler has run.")

    silent = threading.Event()
    clean_up(silent.set)
    stream = stub.FollowTeams(_after(silent), timeout=PATIENCE, metadata=[("caller", "eve")])
    _require("FollowTeams as eve, who opens the stream and sends nothing", denied, _ended(lambda: list(stream)))
    first = stub.GetTeam.future(CHICAGO, timeout=2 * PATIENCE, metadata=bob)
    if not neighbours.asked_for_bob.wait(PATIENCE):
        raise NotYet("I called GetTeam as bob. I expected that `is_known` is asked about him, but it was not.")
    second = _ended(lambda: stub.GetTeam(CHICAGO, timeout=PATIENCE / 2, metadata=ada))
    neighbours.may_answer.set()
    if second[0] == grpc.StatusCode.DEADLINE_EXCEEDED:
        raise NotYet("While `is_known` thought about bob, ada called. She had to wait until her deadline.")
    _require("GetTeam as ada, while bob is asked about", grpc.StatusCode.OK, second)
    _require("GetTeam as bob", grpc.StatusCode.OK, _ended(first.result))


def _after(event: threading.Event, *requests: Any) -> Iterator[Any]:
    """These requests, and then nothing until the event."""
    yield from requests
    event.wait(2 * PATIENCE)


class _Held(TeamsServicer):
    """Keeps a call for "Boston" until it may go, and breaks on one for "Atlantis"."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.may_go = threading.Semaphore(0), threading.Event()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        if request.city == "Atlantis":
            raise KeyError(request.city)
        if request.city == "Boston":
            self.entered.release()
            self.may_go.wait(2 * PATIENCE)
        return super().GetTeam(request, context)


class _Caller:
    """Makes calls in one name."""

    def __init__(self, stub: Any, name: str | None) -> None:
        self.stub, self.name = stub, name
        self.options = {"timeout": 2 * PATIENCE, "metadata": [("caller", name)] if name else []}

    def short(self, city: str = "Chicago") -> tuple[grpc.StatusCode, str]:
        """A call that is over at once."""
        return _ended(lambda: self.stub.GetTeam(teams_pb2.TeamRequest(city=city), **self.options))

    def stream(self) -> tuple[threading.Event, Any]:
        """A stream that is open until the event is set, or it is cancelled."""
        done = threading.Event()
        clean_up(done.set)
        stream = self.stub.FollowTeams(_after(done, FOLLOW), **self.options)
        try:
            next(stream)
        except grpc.RpcError as error:
            ended = _explained(error.code(), error.details() or "")
            raise NotYet(f"I opened a stream as {self.name!r}, within the limit. It ended {ended}") from None
        except StopIteration:
            raise NotYet(f"I opened a stream as {self.name!r}, within the limit. It gave nothing.") from None
        return done, stream

    def require(self, code: grpc.StatusCode, when: str, city: str = "Chicago") -> None:
        """A short call that must end so. A refusal may last a moment: a call is over here before it is over there."""
        refused = grpc.StatusCode.RESOURCE_EXHAUSTED
        end = time.monotonic() + PATIENCE
        while (ended := self.short(city))[0] == refused and code != refused and time.monotonic() < end:
            time.sleep(0.02)
        _require(f"GetTeam as {self.name!r} {when}", code, ended)


@exercise(
    "11.3",
    title="Share out the server",
    stub="""
    class Quota(ServerInterceptor):
        def __init__(self, limit): ...
    """,
    solution="""
    from collections import Counter


    class Quota(ServerInterceptor):
        def __init__(self, limit):
            self.limit = limit
            self.running = Counter()
            self.lock = threading.Lock()

        def intercept(self, method, request, context, name):
            caller = dict(context.invocation_metadata()).get("caller")
            with self.lock:
                full = self.running[caller] >= self.limit
                self.running[caller] += not full
            if full:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"at most {self.limit} calls at once")
            if not context.add_callback(lambda: self.release(caller)):
                self.release(caller)  # the call is over already
            return method(request, context)

        def release(self, caller):
            with self.lock:
                self.running[caller] -= 1
    """,
    why="The context knows when a call of any kind is over, however it ends; the lock keeps the count right.",
    hints=(
        "For a stream `method(request, context)` returns at once, with a generator. When is such a call over?",
        "`context.add_callback` runs a function when the call is over, of any kind and however it ends. If it is over "
        "already, the answer is False, and the function doesn't run: then run it yourself.",
        "Count in a `Counter` by caller, under a lock. A call that you refuse must neither count nor be taken off.",
    ),
)
def _(answer: Any) -> None:
    ok, refused = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED
    servicer = _Held()
    clean_up(servicer.may_go.set)
    server = serve(servicer, interceptors=[_made(answer, grpc.ServerInterceptor, 2)], max_workers=20)
    stub = teams_pb2_grpc.TeamsStub(connect(server.address))
    ada, bob, nobody = _Caller(stub, "ada"), _Caller(stub, "bob"), _Caller(stub, None)
    limit = "with Quota(2)"
    for number, kind in enumerate(_each_kind(stub, [])):
        make = _each_kind(stub, [("caller", f"zoe-{number}")])[kind]
        _require(f"{kind} as 'zoe-{number}', who has no other call, {limit}", ok, _ended(make))
    first_done, _first = ada.stream()
    _, second = ada.stream()
    ada.require(refused, f"while two of her streams run, {limit}")
    for kind, make in _each_kind(stub, [("caller", "ada")]).items():
        _require(f"{kind} as 'ada' while two of her streams run, {limit}", refused, _ended(make))
    ada.require(refused, "again, after some refusals, while her two streams still run")
    bob.require(ok, f"while only 'ada' has two calls running, {limit}")
    first_done.set()
    ada.require(ok, "after one of her two streams has ended")
    second.cancel()
    for _ in range(3):
        ada.require(ok, "after she has cancelled the other one")
    for _ in range(3):
        bob.require(grpc.StatusCode.UNKNOWN, f"for Atlantis, on which the handler breaks, {limit}", "Atlantis")

    held = [nobody.stub.GetTeam.future(teams_pb2.TeamRequest(city="Boston"), **nobody.options) for _ in range(2)]
    for _ in held:
        if not servicer.entered.acquire(timeout=PATIENCE):
            raise NotYet(f"I made two calls at once without a name, {limit}. Expected both to run, but one did not.")
    nobody.require(refused, f"while two unary calls without a name run, {limit}")
    servicer.may_go.set()
    for each in held:
        _require(f"result() of two calls without a name, {limit}", ok, _ended(each.result))
    nobody.require(ok, "after two unary calls without a name have ended")


class _Watching(TeamsServicer):
    """Notes for each call how many seconds are left, and what metadata came."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[float] = []
        self.metadata: list[tuple[tuple[str, str | bytes], ...]] = []

    def _note(self, context: grpc.ServicerContext) -> None:
        left = context.time_remaining()
        self.left.append(math.inf if left is None else left)
        self.metadata.append(tuple((key, value) for key, value in context.invocation_metadata()))

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self._note(context)
        return super().GetTeam(request, context)

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        self._note(context)
        yield from super().ListTeams(request, context)


class _Gateway(TeamsServicer):
    """Naps, and then asks the service behind it, with what the check has set."""

    def __init__(self, behind: Any) -> None:
        super().__init__()
        self.behind = behind
        self.nap = 0.0
        self.options: dict[str, Any] = {}

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        time.sleep(self.nap)
        response: teams_pb2.TeamResponse = self.behind.GetTeam(request, **self.options)
        return response

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        yield teams_pb2.TeamResponse(city="first")
        yield from self.behind.ListTeams(request, **self.options)


@exercise(
    "11.4",
    title="Never ask for more time than you have",
    stub="""
    deadline = ContextVar("deadline", default=None)


    class TakeDeadline(ServerInterceptor): ...


    class KeepDeadline(ClientInterceptor): ...
    """,
    solution="""
    deadline = ContextVar("deadline", default=None)


    class TakeDeadline(ServerInterceptor):
        def intercept(self, method, request, context, name):
            left = context.time_remaining()
            if left is not None and left < 100 * 365 * 86_400:
                deadline.set(time.monotonic() + left)
            return method(request, context)


    class KeepDeadline(ClientInterceptor):
        def intercept(self, method, request, details):
            if deadline.get() is not None:
                left = deadline.get() - time.monotonic()
                if details.timeout is None or left < details.timeout:
                    details = changed(details, timeout=left)
            return method(request, details)
    """,
    answer="(TakeDeadline, KeepDeadline)",
    why="A point in time stays right while the handler works; the seconds that were left at its start do not.",
    hints=(
        "Time passes between the start of the handler and its call. Which of the two can you keep: seconds, or a time?",
        "`TakeDeadline` keeps a point on the clock `time.monotonic()`, and nothing if more than a century is left. "
        "`KeepDeadline` computes from it, for each call, how much is left now.",
        "In `KeepDeadline`: `left = deadline.get() - time.monotonic()`; take the smaller of it and `details.timeout`.",
    ),
)
def _(answer: Any) -> None:
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise NotYet('I expected both classes: check("11.4", (TakeDeadline, KeepDeadline)).')
    take = _made(answer[0], grpc.ServerInterceptor)
    keep = _made(answer[1], grpc.UnaryUnaryClientInterceptor)
    teams = _Watching()
    behind: Any = teams_pb2_grpc.TeamsStub(connect(serve(teams).address, keep))
    gateway = _Gateway(behind)
    stub: Any = teams_pb2_grpc.TeamsStub(connect(serve(gateway, interceptors=[take]).address))

    def through(given: float | None, /, **options: Any) -> Callable[[], Any]:
        def call() -> Any:
            gateway.options = options
            return stub.GetTeam(CHICAGO, timeout=given)

        return call

    def require(what: str, expected: str, call: Callable[[], Any], least: float, most: float) -> None:
        """The call must arrive at the second service, with so many seconds left."""
        count = len(teams.left)
        ended = _ended(call)
        if len(teams.left) == count:
            raise NotYet(f"{what} No call arrived at the second service. The caller got {_explained(*ended)}")
        got = teams.left[-1]
        if not least < got < most:
            left = "no deadline" if got > YEAR else f"{got:.1f} seconds"
            raise NotYet(f"{what} Expected {expected} at the second service, but it saw {left}.")

    at_most_2, none = "at most 2 seconds", "no deadline"
    what = "A caller gave the gateway 2 seconds, and its handler called on without a timeout."
    require(what, at_most_2, through(2), 0, 2.1)
    gateway.nap = 0.4
    what = "A caller gave the gateway 2 seconds, and its handler worked for 0.4 of them before it called on."
    require(what, "at most 1.6 seconds", through(2), 0, 1.8)
    gateway.nap = 0.0
    what = "A caller gave the gateway 2 seconds, and its handler called on with timeout=30."
    require(what, at_most_2, through(2, timeout=30), 0, 2.1)
    what = "A caller gave the gateway 20 seconds, and its handler called on with timeout=2."
    require(what, at_most_2, through(20, timeout=2), 0, 2.1)
    what = "A caller set no deadline, and the handler called on"
    require(f"{what} without a timeout.", none, through(None), YEAR, math.inf)
    require(f"{what} with timeout=9.", "about 9 seconds", through(None, timeout=9), 2.1, 9.3)
    what = "Outside of a handler, I made a call without a timeout."
    require(what, none, lambda: behind.GetTeam(CHICAGO), YEAR, math.inf)
    gateway.options = {"metadata": [("caller", "ada")]}
    what = "A caller gave 2 seconds, and a handler that streams called on, for a stream, without a timeout."
    require(what, at_most_2, lambda: list(stub.ListTeams(TEAMS, timeout=2)), 0, 2.1)
    if ("caller", "ada") not in teams.metadata[-1]:
        raise NotYet("The handler called on with metadata. The deadline is right, but the metadata got lost.")
