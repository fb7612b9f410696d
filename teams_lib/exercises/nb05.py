"""Stream a response.

Every check serves the learner's code from a server of its own. Where a check must know what happens first, it waits
for an event, not for a time.
"""

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve
from teams_lib.league import TEAMS

import grpc

CITIES: Final = list(TEAMS)
PATIENCE: Final = 1.5  # seconds that a check waits for what a right answer does at once
MOST_CALLS: Final = 10  # that a check answers; a right answer needs half of them


def _stub_of(servicer: object, make_stub: Callable[[grpc.Channel], Any] = teams_pb2_grpc.TeamsStub) -> Any:
    """A stub for a server that runs until the check ends."""
    return make_stub(connect(serve(servicer).address))


class _Watched:
    """A Teams stub that keeps its calls, as a debugger or a traceback may, and sees which had no deadline.

    Each call gets the deadline of the check, so that none outlasts it.
    """

    def __init__(self, servicer: object, deadline: float) -> None:
        self.stub = _stub_of(servicer)
        self.deadline = deadline
        self.calls: list[Any] = []
        self.unlimited = False

    def ListTeams(self, request: teams_pb2.ListTeamsRequest, timeout: float | None = None, **options: Any) -> Any:
        self.unlimited = self.unlimited or timeout is None
        self.calls.append(self.stub.ListTeams(request, timeout=self.deadline, **options))
        return self.calls[-1]


class _Endless(TeamsServicer):
    """Sends the first teams at once, and takes its time for the one after."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self.at_once = at_once
        self.ended = threading.Event()
        self.waited_for_more = False

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        context.add_callback(self.ended.set)
        for city in CITIES[: self.at_once]:
            yield teams_pb2.TeamResponse(city=city)
        self.waited_for_more = not self.ended.wait(PATIENCE)
        for city in CITIES[self.at_once :]:
            yield teams_pb2.TeamResponse(city=city)


@exercise(
    "05.1",
    title="Take the first few",
    stub="""
    def first_cities(stub, count):
        # Your code, in place of the dots.
        ...
    """,
    solution="""
    from itertools import islice


    def first_cities(stub, count):
        stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)
        try:
            return [team.city for team in islice(stream, count)]
        finally:
            stream.cancel()
    """,
    why="islice asks for `count` teams and no more, and cancel() frees the server's worker whatever happened before.",
    hints=(
        "A loop that looks at the next team and then decides to stop has asked for one team too many.",
        "`itertools.islice(stream, count)` asks for `count` messages, and not for another one.",
        "Give the stream a name, and cancel it when you have what you need: `finally: stream.cancel()`.",
    ),
)
def _(answer: Any) -> None:
    for count in (3, 1):
        servicer = _Endless(count)
        stub = _Watched(servicer, deadline=5)
        got = called(answer, stub, count)
        if servicer.waited_for_more:
            raise NotYet(
                f"I called first_cities(stub, {count}). It asked for more than {count} teams, "
                "and waited for a team that nobody needs."
            )
        expect_equal(call=f"first_cities(stub, {count})", expected=CITIES[:count], got=got)
        # The server waited as long as this check does. If the client let it, the call may have come to its own end.
        if not servicer.ended.wait(PATIENCE) or servicer.waited_for_more:
            raise NotYet(
                f"I called first_cities(stub, {count}), and kept a reference to its call, as a debugger would. "
                "The cities are right, but the call still runs."
            )
        if stub.unlimited:
            raise NotYet(f"I called first_cities(stub, {count}). The cities are right, but the call had no timeout=.")
    long = "first_cities(stub, 50) on a league of ten"
    try:
        got = called(answer, _Watched(TeamsServicer(), deadline=5), 50)
    except StopIteration:
        raise NotYet(f"I called {long}. A `next` found no more teams, and its StopIteration came out.") from None
    expect_equal(call=long, expected=CITIES, got=got)


class _Breaking(TeamsServicer):
    """Sends some teams, then ends the call with an error."""

    def __init__(self, sent: int, code: grpc.StatusCode) -> None:
        super().__init__()
        self.sent, self.code = sent, code

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        for city in CITIES[: self.sent]:
            yield teams_pb2.TeamResponse(city=city)
        context.abort(self.code, "the check ends this call")


@exercise(
    "05.2",
    title="Keep what arrived",
    stub="""
    def cities_and_status(stub):
        try:
            stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)
        except grpc.RpcError as error:
            return [], error.code()
        return [team.city for team in stream], grpc.StatusCode.OK
    """,
    solution="""
    def cities_and_status(stub):
        cities = []
        stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)
        try:
            for team in stream:
                cities.append(team.city)
        except grpc.RpcError as error:
            return cities, error.code()
        return cities, grpc.StatusCode.OK
    """,
    why="The error comes out of the loop that reads, so the loop stands inside the try, and the list outside of it.",
    hints=(
        "Which line raises: the one that makes the call, or the one that reads?",
        "A list comprehension that is interrupted leaves nothing. A list that you append to keeps what it has.",
    ),
)
def _(answer: Any) -> None:
    ok = grpc.StatusCode.OK
    cases: Sequence[tuple[str, object, tuple[list[str], grpc.StatusCode]]] = (
        ("on a healthy server", TeamsServicer(), (CITIES, ok)),
        (
            "on a server that fails after four teams",
            _Breaking(4, grpc.StatusCode.DATA_LOSS),
            (CITIES[:4], grpc.StatusCode.DATA_LOSS),
        ),
        (
            "on a server that refuses at once",
            _Breaking(0, grpc.StatusCode.PERMISSION_DENIED),
            ([], grpc.StatusCode.PERMISSION_DENIED),
        ),
    )
    for where, servicer, expected in cases:
        call = f"cities_and_status(stub) {where}"
        stub = _Watched(servicer, deadline=3)
        try:
            got = called(answer, stub)
        except grpc.RpcError:
            _require_read(call, stub)
            raise NotYet(f"I called {call}. It raised the error instead of returning what had arrived.") from None
        _require_read(call, stub)
        expect_equal(call=call, expected=expected, got=tuple(got) if isinstance(got, list) else got)


def _require_read(call: str, stub: _Watched) -> None:
    if any(each.done() and each.code() == grpc.StatusCode.DEADLINE_EXCEEDED for each in stub.calls):
        raise NotYet(
            f"I called {call}. It waited until the deadline, with teams unread. "
            "`code()` waits for the end of the stream, and the end comes after the last team."
        )


class _Listening(TeamsServicer):
    """Passes ListTeams on to the learner's servicer, and notes the cities that it yields and that the call is over."""

    def __init__(self, learners: Any) -> None:
        super().__init__()
        self.learners = learners
        self.yielded: list[str] = []
        self.over = threading.Event()

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        context.add_callback(self.over.set)
        for team in self.learners.ListTeams(request, context):
            self.yielded.append(team.city)
            yield team


class _Steps:
    """What the learner's handler calls for each step of its work. Lets the client leave in the middle."""

    def __init__(self, leave_at: int | None = None) -> None:
        self.count = 0
        self.leave_at = leave_at
        self.reached = threading.Event()
        self.gone = threading.Event()

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.leave_at:
            self.reached.set()
            self.gone.wait(PATIENCE)
        elif self.gone.is_set():
            time.sleep(0.002)  # a handler that works on is to be seen doing it, not to be done at once


@exercise(
    "05.3",
    title="Notice that nobody listens",
    stub='''
    class ArchiveServicer(teams_pb2_grpc.TeamsServicer):
        """Searches an archive: 300 steps for each team."""

        def __init__(self, step):
            self.step = step
            self.searching = 0

        def ListTeams(self, request, context):
            self.searching += 1
            for city in ("Chicago", "Detroit", "Seattle"):
                for _ in range(300):
                    self.step()
                yield teams_pb2.TeamResponse(city=city)
            self.searching -= 1
    ''',
    solution='''
    class ArchiveServicer(teams_pb2_grpc.TeamsServicer):
        """Searches an archive: 300 steps for each team."""

        def __init__(self, step):
            self.step = step
            self.searching = 0

        def ListTeams(self, request, context):
            self.searching += 1
            try:
                for city in ("Chicago", "Detroit", "Seattle"):
                    for _ in range(300):
                        if not context.is_active():
                            return
                        self.step()
                    yield teams_pb2.TeamResponse(city=city)
            finally:
                self.searching -= 1
    ''',
    why="is_active() ends the search between two steps; finally counts down on every way out, also out of the yield.",
    hints=(
        "The handler learns of the end at its next yield, and that is up to 300 steps away. What can it ask meanwhile?",
        "Ask `context.is_active()` in the inner loop, and return if it says False.",
        "Count down in a `finally`: it runs after the last team, after a return, and when the generator is closed.",
    ),
)
def _(answer: Any) -> None:
    quick = _Steps()
    _, cities = _search(answer, quick)
    expect_equal(call="ListTeams with a client that stays", expected=["Chicago", "Detroit", "Seattle"], got=cities)
    if quick.count != 900:
        raise NotYet(f"With a client that stays, I expected 900 steps of search, but counted {quick.count}.")

    left = _Steps(leave_at=40)
    servicer, yielded = _search(answer, left)
    later = left.count - 40
    if later > 100:
        raise NotYet(f"The client left at step 40 of the first team's search. The handler went on for {later} steps.")
    if yielded:
        raise NotYet(
            f"The client left at step 40 of the first team's search. Then the handler yielded {yielded[0]}, "
            "which it had not found."
        )
    if servicer.searching != 0:
        raise NotYet(f"The client left during a search. Then `searching` is {servicer.searching}, and should be 0.")

    # After the last step of a team's search comes its yield, where the handler can't ask any more.
    servicer, _ = _search(answer, _Steps(leave_at=300))
    if servicer.searching != 0:
        raise NotYet(
            f"The client left when the first team was found. Then `searching` is {servicer.searching}, "
            "and should be 0: the handler came to its yield, and not further."
        )


def _search(answer: Any, step: _Steps) -> tuple[Any, list[str]]:
    """Call ListTeams of the learner's class, leave where `step` says, and wait for the handler's end.

    Returns:
        The learner's servicer, and the cities that its handler yielded.
    """
    servicer = called(answer, step)
    if not hasattr(servicer, "ListTeams") or not hasattr(servicer, "searching"):
        raise NotYet("I expected a servicer with the method ListTeams and the number `searching`.")
    listening = _Listening(servicer)
    server = BackgroundServer(listening, name="the check's server")
    clean_up(server.start().stop)
    with grpc.insecure_channel(server.address) as channel:
        stream = teams_pb2_grpc.TeamsStub(channel).ListTeams(teams_pb2.ListTeamsRequest(), timeout=3)
        if step.leave_at is not None:
            step.reached.wait(PATIENCE)
        else:
            _ = list(stream)
        stream.cancel()
        listening.over.wait(PATIENCE)
        step.gone.set()
        if not server.wait_for_calls(1, PATIENCE):
            raise NotYet("The client left, and the handler still runs.")
    return servicer, listening.yielded


def _big_league() -> tuple[Any, Any]:
    try:
        return importlib.import_module("big_league_pb2"), importlib.import_module("big_league_pb2_grpc")
    except ImportError:
        raise NotYet("First run the cells above that compile big_league.proto.") from None


@exercise(
    "05.4",
    title="Walk the pages",
    stub="""
    def every_team(stub, page_size):
        # Your code, in place of the dots.
        ...
    """,
    solution='''
    def get_page(stub, request):
        """A page; asked for a second time if the server is not there at first."""
        try:
            return stub.ListPage(request, timeout=2)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return stub.ListPage(request, timeout=2)


    def every_team(stub, page_size):
        request = big_league_pb2.PageRequest(page_size=page_size)
        while True:
            page = get_page(stub, request)
            yield from page.teams
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
    ''',
    why="A generator asks for a page when its reader comes to it, and only an empty token says that there is no more.",
    hints=(
        "Write a generator: get a page, `yield from page.teams`, and go on with `next_page_token` until it is empty.",
        "A short page, even an empty one, need not be the last. Look at the token, and at nothing else.",
        "Put the call into a function of its own, with `try` around it: for UNAVAILABLE it calls once more.",
    ),
)
def _(answer: Any) -> None:
    messages, services = _big_league()
    pages = {"": ([0, 1, 2], "b!"), "b!": ([3], "c?"), "c?": ([], "d/9"), "d/9": ([4, 5], "")}
    asked: list[tuple[int, str]] = []
    failures = {"c?": [grpc.StatusCode.UNAVAILABLE]}  # by page, one a call
    unlimited: list[str] = []

    class Pages(services.BigLeagueServicer):  # type: ignore[misc, name-defined]
        def ListPage(self, request: Any, context: grpc.ServicerContext) -> Any:
            asked.append((request.page_size, request.page_token))
            if len(asked) > MOST_CALLS:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the check has answered {MOST_CALLS} calls")
            remaining = context.time_remaining()
            if remaining is None or remaining > 3600:
                unlimited.append(request.page_token)
            if failures.get(request.page_token):
                context.abort(failures[request.page_token].pop(), "the server restarts")
            if request.page_token not in pages:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no such page_token: {request.page_token!r}")
            numbers, following = pages[request.page_token]
            teams = [messages.Team(city=f"City {number}") for number in numbers]
            return messages.Page(teams=teams, next_page_token=following)

    stub = _stub_of(Pages(), services.BigLeagueStub)
    gave_up = "A page failed with UNAVAILABLE. I expected that you ask for it once more, but got the error."
    try:
        teams = called(answer, stub, 3)
    except grpc.RpcError as error:
        raise (NotYet(gave_up) if error.code() == grpc.StatusCode.UNAVAILABLE else error) from None
    if not isinstance(teams, Iterable):
        raise NotYet(f"I called every_team(stub, 3). Expected teams that I can loop over, but got {teams!r}.")
    teams = iter(teams)
    first = next(teams, None)
    if len(asked) > 1:
        raise NotYet(f"I read one team from every_team(stub, 3), and it has asked for {len(asked)} pages already.")
    got = [] if first is None else [first]
    try:
        got += teams
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            raise NotYet(gave_up) from None
        raise
    for each in got:
        if not isinstance(each, messages.Team):
            raise NotYet(f"I called every_team(stub, 3). Expected Team messages, but it yields {each!r}.")
    last, more = pages.get(asked[-1][1], ([], "")) if asked else ([], "")
    if more:
        size = f"{len(last)} of 3 teams" if last else "no teams"
        raise NotYet(
            f"I called every_team(stub, 3). It stopped after a page with {size}, but the token of that page "
            f"is {more!r}: there is more."
        )
    expect_equal(
        call="every_team(stub, 3), and took the cities",
        expected=[f"City {number}" for numbers, _ in pages.values() for number in numbers],
        got=[team.city for team in got],
    )
    if {size for size, _ in asked} != {3}:
        raise NotYet(f"Every request should have page_size 3. I saw {sorted({size for size, _ in asked})}.")
    if unlimited:
        raise NotYet("The teams are right, but a call had no deadline. Give each ListPage a timeout.")

    for code, calls in ((grpc.StatusCode.PERMISSION_DENIED, 1), (grpc.StatusCode.UNAVAILABLE, 2)):
        failures[""] = [code] * MOST_CALLS
        asked.clear()
        call = f"every_team(stub, 3) on a server that always answers {code.name}"
        try:
            list(answer(stub, 3))
        except grpc.RpcError as error:
            expect_equal(call=f"{call}, and counted its calls", expected=calls, got=len(asked))
            expect_equal(call=call, expected=code, got=error.code())
        else:
            raise NotYet(f"I called {call}. I expected the error to reach me, but it got lost.")
