"""Make calls from a client."""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from unittest import mock

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve

import grpc

CITIES: Final = ["Chicago", "Boston", "Seattle"]
YEAR: Final = 365 * 24 * 3600.0
"""A call without a deadline has far more seconds left than these."""

PATIENCE: Final = 1.0
"""Seconds that a call waits for others that should be there at once."""


class _Watching(TeamsServicer):
    """Remembers what it sees of each call: the time left for it, in seconds, and the client's end of the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.times_left: list[float] = []
        self.connections: set[str] = set()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        left = context.time_remaining()
        self.times_left.append(math.inf if left is None else left)
        self.connections.add(context.peer())
        return super().GetTeam(request, context)


class _Gathering(_Watching):
    """Keeps each call back until all have come, a moment at most. Then it answers, the last city first."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._arrived: set[str] = set()
        self._answered = 0
        self.together = False

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        response = super().GetTeam(request, context)
        with self._changed:
            self._arrived.add(request.city)
            self._changed.notify_all()
            # If one call gave up, the others would wait in vain.
            self._changed.wait_for(lambda: self._answered or self._arrived.issuperset(CITIES), PATIENCE)
            self.together = self.together or (self._answered == 0 and self._arrived.issuperset(CITIES))
        if self.together:
            time.sleep(0.04 * (len(CITIES) - CITIES.index(request.city)))
        self._answered += 1
        return response


class _Failing(TeamsServicer):
    """Ends the call with the status code that stands in place of a city."""

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        if request.city in grpc.StatusCode.__members__:
            context.abort(grpc.StatusCode[request.city], f"the details of {request.city}")
        return super().GetTeam(request, context)


class _Trouble(Exception):  # noqa: N818 - it only has to come out of a block
    """Raised in the learner's `with` block."""


def _connect_anew() -> None:
    """Give each channel that the answer makes a connection of its own.

    Without this, a new channel may come in time to take over the connection of one that is being closed.
    """
    genuine = grpc.insecure_channel

    def insecure_channel(target: str, options: Sequence[Any] | None = None, *others: Any, **named: Any) -> grpc.Channel:
        own = [*(options or ()), ("grpc.use_local_subchannel_pool", 1)]
        return genuine(target, own, *others, **named)

    replaced = mock.patch.object(grpc, "insecure_channel", insecure_channel)
    replaced.start()
    clean_up(replaced.stop)


def _require_deadlines(call: str, servicer: _Watching, seconds: float) -> None:
    longest = max(servicer.times_left, default=0.0)
    if longest > YEAR:
        raise NotYet(f"I called {call}. The answer is right, but the call has no deadline.")
    if longest > seconds + 0.5:
        raise NotYet(f"I called {call}. The answer is right, but the call may take more than {seconds:g} seconds.")


class _OneCall(grpc.UnaryUnaryClientInterceptor):
    """Lets one call pass, and only if it takes no longer than the seconds."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._seconds = seconds
        self._calls = 0

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        self._calls += 1
        if self._calls > 1:
            raise NotYet(f"I called {self._what}. It made a second call, and one can do all the waiting.")
        if client_call_details.timeout is None:
            raise NotYet(f"I called {self._what}. The call that it made has no deadline.")
        if client_call_details.timeout > self._seconds:
            raise NotYet(f"I called {self._what}. The call that it made may take longer than that.")
        return continuation(client_call_details, request)


def _patient(answer: Any, target: str, seconds: float, opening: threading.Timer | None = None) -> Any:
    one_call = _OneCall(f"patient(stub, 'Chicago', {seconds:g})", seconds)
    # The channel looks for the server often, so that it is found soon after it has come.
    often = [(f"grpc.{which}_reconnect_backoff_ms", 100) for which in ("initial", "max")]
    channel = connect(target, one_call, options=often)
    if opening:
        # On Windows the first attempt lasts two seconds, and would find the server for a call without patience, too.
        failed = threading.Event()

        def note(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                failed.set()

        channel.subscribe(note, try_to_connect=True)
        failed.wait(2.5)
        opening.start()
        clean_up(opening.join)
    return called(answer, teams_pb2_grpc.TeamsStub(channel), "Chicago", seconds)


@exercise(
    "04.1",
    title="Ask a server that is not up yet",
    stub='''
    def patient(stub, city, seconds):
        """Return the nickname of the city's team, or let the error pass."""
        ...
    ''',
    solution="""
    def patient(stub, city, seconds):
        request = teams_pb2.TeamRequest(city=city)
        return stub.GetTeam(request, timeout=seconds, wait_for_ready=True).nickname
    """,
    why="In TRANSIENT_FAILURE only a call with `wait_for_ready` stays, and its deadline ends the wait.",
    hints=(
        "A call to a server that is not there fails at once with UNAVAILABLE. Which option makes it wait?",
        "The option is `wait_for_ready=True`. By itself it waits for ever: what else does the call need?",
        "The call is `stub.GetTeam(request, timeout=seconds, wait_for_ready=True)`. It returns a message, not a name.",
    ),
)
def _(answer: Any) -> None:
    server = serve(TeamsServicer())
    target = server.address
    server.stop()
    opening = threading.Timer(0.2, server.start)
    call = "patient(stub, 'Chicago', 2)"
    try:
        nickname = _patient(answer, target, 2, opening)
    except grpc.RpcError as error:
        ended = f"{error.code().name}: {error.details()}"
        raise NotYet(f"I called {call}, and started the server 0.2 seconds later. It ended with {ended}") from None
    expect_equal(call=call, expected="Jackals", got=nickname)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        try:
            got = _patient(answer, f"127.0.0.1:{nobody.getsockname()[1]}", 0.2)
        except grpc.RpcError:
            return
    raise NotYet(f"I called patient(stub, 'Chicago', 0.2), and no server came. Expected the error, but got {got!r}.")


@exercise(
    "04.2",
    title="Mend: one after another",
    stub="""
    def nicknames(stub, cities):
        answers = []
        for city in cities:
            call = stub.GetTeam.future(teams_pb2.TeamRequest(city=city), timeout=2)
            answers.append(call.result().nickname)
        return answers
    """,
    solution="""
    def nicknames(stub, cities):
        calls = [stub.GetTeam.future(teams_pb2.TeamRequest(city=city), timeout=2) for city in cities]
        return [call.result().nickname for call in calls]
    """,
    why="`result()` waits, so every call has to be started before the first result is asked for.",
    hints=(
        "Which line waits? What has not been started yet while it waits?",
        "Use two loops: one that starts the calls and keeps them, one that asks for their results.",
    ),
)
def _(answer: Any) -> None:
    call = f"nicknames(stub, {CITIES})"
    servicer = _Gathering()
    got = called(answer, teams_pb2_grpc.TeamsStub(connect(serve(servicer).address)), CITIES)
    got = list(got) if isinstance(got, Iterable) else got
    expect_equal(call=call, expected=["Jackals", "Revolutionaries", "Orcas"], got=got)
    if not servicer.together:
        raise NotYet(f"I called {call}. The answers are right, but the server never had all three calls at once.")
    _require_deadlines(call, servicer, 2)


@exercise(
    "04.3",
    title="Say what went wrong",
    stub='''
    def describe(ask):
        """Return the nickname, or what went wrong."""
        ...
    ''',
    solution="""
    def describe(ask):
        try:
            return ask().nickname
        except grpc.RpcError as error:
            match error.code():
                case grpc.StatusCode.UNAVAILABLE:
                    return "try again later"
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    return "too slow"
                case grpc.StatusCode.INVALID_ARGUMENT:
                    return error.details()
            raise
    """,
    why="Codes mean the same whatever the details say, and a bare `raise` passes on what you can't explain.",
    hints=(
        "Catch `grpc.RpcError`, and compare its `code()` with members of `grpc.StatusCode`.",
        "At the end of the `except` block, a bare `raise` lets every other error pass.",
    ),
)
def _(answer: Any) -> None:
    stub = teams_pb2_grpc.TeamsStub(connect(serve(_Failing()).address))

    def told(city: str) -> Any:
        return called(answer, lambda: stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2))

    expected = {
        "Chicago": "Jackals",
        "UNAVAILABLE": "try again later",
        "DEADLINE_EXCEEDED": "too slow",
        "INVALID_ARGUMENT": "the details of INVALID_ARGUMENT",
    }
    for city, text in expected.items():
        what = "describe with a call that succeeds" if city == "Chicago" else f"describe with a call that ends {city}"
        try:
            got = told(city)
        except grpc.RpcError:
            raise NotYet(f"I called {what}. Expected {text!r}, but the error came through.") from None
        expect_equal(call=what, expected=text, got=got)
    for code in ("UNIMPLEMENTED", "INTERNAL"):
        try:
            got = told(code)
        except grpc.RpcError as error:
            if error.code().name == code:
                continue
            raise NotYet(f"I called describe with a call that ends {code}. Another error came through.") from None
        raise NotYet(f"I called describe with a call that ends {code}. Expected the error to pass, but got {got!r}.")


@exercise(
    "04.4",
    title="Build a client that hides gRPC",
    stub="""
    class TeamsClient:
        def __init__(self, address): ...

        def nickname(self, city): ...

        def __enter__(self): ...

        def __exit__(self, *error): ...
    """,
    solution="""
    class TeamsClient:
        def __init__(self, address):
            self.channel = grpc.insecure_channel(address)
            self.stub = teams_pb2_grpc.TeamsStub(self.channel)

        def nickname(self, city):
            request = teams_pb2.TeamRequest(city=city)
            nickname = self.stub.GetTeam(request, timeout=2).nickname
            if nickname == "not a member":
                raise LookupError(f"{city} has no team")
            return nickname

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.channel.close()
    """,
    why="The channel lives as long as the client: made once, used by every call, closed at the end.",
    hints=(
        "What has to be made once, and what once for each call? The first belongs in `__init__`.",
        "`__enter__` returns the client itself. `__exit__` closes the channel of `__init__`, and returns nothing.",
        "In `nickname`: `found = self.stub.GetTeam(request, timeout=2).nickname`, then an `if` with a `raise`.",
    ),
)
def _(answer: Any) -> None:
    servicer = _Watching()
    _connect_anew()
    client = called(answer, serve(servicer).address)
    for name in ("__enter__", "__exit__"):
        if not hasattr(client, name):
            raise NotYet(f"I wrote `with TeamsClient(address) as client`. A `with` block needs {name}: I found none.")
    # The steps of a `with` block, one by one: what is wrong with them is the learner's, not the course's.
    entered = called(client.__enter__)
    if isinstance(entered, type) or not hasattr(entered, "nickname"):
        raise NotYet(f"I wrote `with TeamsClient(address) as client`. Expected a client, but got {entered!r}.")

    def nickname_of(city: str) -> Any:
        return called(lambda: entered.nickname(city))

    for city, nickname in {"Chicago": "Jackals", "Boston": "Revolutionaries", "Seattle": "Orcas"}.items():
        expect_equal(call=f"client.nickname({city!r})", expected=nickname, got=nickname_of(city))
    try:
        got = nickname_of("Miami")
    except LookupError:
        pass
    else:
        raise NotYet(f"I called client.nickname('Miami'). Expected a LookupError, but got {got!r}.")
    if len(servicer.connections) > 1:
        raise NotYet(f"I made four calls with one client. They came over {len(servicer.connections)} connections.")
    _require_deadlines("client.nickname", servicer, 2)
    with contextlib.suppress(_Trouble):
        if swallowed := called(client.__exit__, _Trouble, _Trouble(), None):
            raise NotYet(
                f"I raised an error in the `with` block. It got lost, because `__exit__` returned {swallowed!r}."
            )
    try:
        got = nickname_of("Chicago")
    except Exception:  # a closed client may say so in its own way
        return
    raise NotYet(f"I called client.nickname('Chicago') after the `with` block. It still works: I got {got!r}.")
