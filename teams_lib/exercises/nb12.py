"""Serve and call with asyncio.

A check runs the learner's coroutines on an event loop of its own, in its own thread, with channels and servers that are
made there. The kernel's loop stands still meanwhile, since `check` is called from a cell.
"""

import asyncio
import inspect
import math
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

from teams_lib import Game, League, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, exercise, expect_equal, serve
from teams_lib.exercises._authoring import shown
from teams_lib.league import TEAMS

import grpc
from grpc import aio

CITIES: Final = ["Chicago", "Boston", "Seattle"]
SOON: Final = 0.5
"""Seconds within which something has to happen that nothing holds up."""

LIMIT: Final = 3.4
"""Seconds for a whole check: less than the runner gives it, so that a coroutine that waits is ended by its loop."""

YEAR: Final = 365 * 24 * 3600.0
"""A call without a deadline has far more seconds left than these."""


def _on_a_loop(check: Coroutine[Any, Any, None]) -> None:
    """Run a check's coroutine on a fresh event loop, and end it when it waits for ever."""

    async def bounded() -> None:
        try:
            async with asyncio.timeout(LIMIT) as limit:
                await check
        except TimeoutError:
            if limit.expired():
                raise NotYet(
                    f"Your code still waited after {LIMIT:g} seconds. Look for a call, a queue or an event that "
                    "waits for something that never comes."
                ) from None
            raise

    try:
        asyncio.run(bounded())
    except BaseExceptionGroup as group:  # its text would hide the error and the line that raised it
        raise _errors_of(group)[0] from None


def _errors_of(error: BaseException) -> list[BaseException]:
    """The errors in a group and in the groups inside it, or the one error that is no group."""
    if isinstance(error, BaseExceptionGroup):
        return [each for inner in error.exceptions for each in _errors_of(inner)]
    return [error]


async def _awaited(call: str, answer: object, *args: Any) -> Any:
    """Call the learner's coroutine function and await what it returns."""
    result = called(answer, *args)
    if not inspect.isawaitable(result):
        raise NotYet(f"I called {call} and got {shown(result)}, which can't be awaited. Define it with `async def`.")
    return await result


async def _soon(happened: Callable[[], object]) -> bool:
    """Whether something of this loop happens soon."""
    for _ in range(100):
        if happened():
            return True
        await asyncio.sleep(SOON / 100)
    return False


async def _stub_of(stack: AsyncExitStack, address: str) -> Any:
    # Small windows: a client that reads nothing soon holds up the handler.
    channel = aio.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)])
    return teams_pb2_grpc.TeamsStub(await stack.enter_async_context(channel))


async def _serve_here(stack: AsyncExitStack, servicer: object) -> Any:
    """Serve the learner's servicer on this loop until the stack is left; return a stub for it."""
    if not isinstance(servicer, teams_pb2_grpc.TeamsServicer):
        raise NotYet(f"I expected a servicer (teams_pb2_grpc.TeamsServicer), but got {shown(servicer)}.")
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    teams_pb2_grpc.add_TeamsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, None)
    return await _stub_of(stack, f"127.0.0.1:{port}")


class _Gathering(TeamsServicer):
    """Keeps each call back until all have come, a moment at most. Atlantis then fails, and the others wait for it."""

    def __init__(self, cities: list[str]) -> None:
        super().__init__()
        self.cities = cities
        self.times_left: list[float] = []
        self.ended = dict.fromkeys(cities, False)
        self.together = False
        self._arrived: set[str] = set()
        self._answered = 0
        self.changed = threading.Condition()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        left = context.time_remaining()
        self.times_left.append(math.inf if left is None else left)
        context.add_callback(lambda: self._end(request.city))
        with self.changed:
            self._arrived.add(request.city)
            self.changed.notify_all()
            # If one call gave up, the others would wait in vain.
            self.changed.wait_for(lambda: self._answered or self._arrived.issuperset(self.cities), 0.8)
            self.together = self.together or (self._answered == 0 and self._arrived.issuperset(self.cities))
            if request.city == "Atlantis":
                context.abort(grpc.StatusCode.NOT_FOUND, "Atlantis has no team")
            if "Atlantis" in self.cities:
                self.changed.wait_for(lambda: self.ended[request.city], 4 * SOON)
            else:  # the answers come in another order than the questions
                self.changed.wait(0.03 * (len(self.cities) - self.cities.index(request.city)))
            self._answered += 1
        return super().GetTeam(request, context)

    def _end(self, city: str) -> None:
        with self.changed:
            self.ended[city] = True
            self.changed.notify_all()

    def all_ended(self) -> bool:
        """Whether all calls end soon; blocks until then."""
        with self.changed:
            return self.changed.wait_for(lambda: all(self.ended.values()), SOON)


@exercise(
    "12.1",
    title="Mend: one after another",
    stub="""
    async def nicknames(stub, cities):
        answers = []
        for city in cities:
            request = teams_pb2.TeamRequest(city=city)
            answers.append((await stub.GetTeam(request, timeout=2)).nickname)
        return answers
    """,
    solution="""
    async def nicknames(stub, cities):
        async def nickname(city):
            request = teams_pb2.TeamRequest(city=city)
            return (await stub.GetTeam(request, timeout=2)).nickname

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(nickname(city)) for city in cities]
        return [task.result() for task in tasks]
    """,
    why="The group waits for all its tasks, cancels the others when one fails, and the list keeps their order.",
    hints=(
        "`asyncio.gather` and `asyncio.TaskGroup` both ask at once. Which of them leaves no call running at an error?",
        "Write an `async def` inside that asks for one city, and make a task of the group for each city.",
        "After the block of the group all tasks are done: `return [task.result() for task in tasks]`.",
    ),
)
def _(answer: Any) -> None:
    async def check() -> None:
        async with AsyncExitStack() as stack:
            servicer = _Gathering(CITIES)
            stub = await _stub_of(stack, serve(servicer).address)
            call = f"nicknames(stub, {CITIES})"
            got = await _awaited(call, answer, stub, CITIES)
            expect_equal(
                call=call,
                expected=[TEAMS[city] for city in CITIES],
                got=list(got) if isinstance(got, tuple) else got,
            )
            if not servicer.together:
                raise NotYet(f"I called {call}. The answers are right, but the server never had all calls at once.")
            if max(servicer.times_left) > YEAR:
                raise NotYet(f"I called {call}. The answers are right, but a call has no deadline.")

            for cities in (["Atlantis", "Chicago", "Boston"], ["Chicago", "Boston", "Atlantis"]):
                failing = _Gathering(cities)
                stub = await _stub_of(stack, serve(failing).address)
                await _fails(f"nicknames(stub, {cities}), with no team in Atlantis", answer, stub, failing)

    _on_a_loop(check())


async def _fails(call: str, answer: Any, stub: Any, servicer: _Gathering) -> None:
    try:
        async with asyncio.timeout(2 * SOON) as limit:
            got = await _awaited(call, answer, stub, servicer.cities)
    except (grpc.RpcError, BaseExceptionGroup) as error:
        errors = _errors_of(error)
        codes = [each.code() for each in errors if isinstance(each, grpc.RpcError)]
        if not codes:
            raise
        if grpc.StatusCode.NOT_FOUND not in codes:
            raise NotYet(f"I called {call}. Expected its NOT_FOUND to come out, but got {codes[0].name}.") from None
    except TimeoutError:
        if not limit.expired():
            raise
        raise NotYet(
            f"I called {call}. Its call failed at once, but a second later the error had not come out of the function."
        ) from None
    else:
        raise NotYet(f"I called {call}. Expected its error, but got {shown(got)}.")
    # In a thread: the cancellations need the loop.
    if not await asyncio.to_thread(servicer.all_ended):
        running = [city for city, ended in servicer.ended.items() if not ended]
        raise NotYet(f"I called {call}. Its error came, but the call for {running[0]} was left running.")


class _Archive:
    """Blocks for a moment. Counts how many look-ups run at once, and notes whether one held up the loop."""

    def __init__(self) -> None:
        self._loop_thread = threading.current_thread()
        self._changed = threading.Condition()
        self._running = 0
        self.most = 0
        self.held_up: list[str] = []

    def look_up(self, city: str) -> str | None:
        """The nickname of a city's team, after 0.05 to 0.15 seconds."""
        if threading.current_thread() is self._loop_thread:
            self.held_up.append(city)
        with self._changed:
            self._running += 1
            self.most = max(self.most, self._running)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most > 1, 0.1)
            self._changed.wait_for(lambda: self.most > 2, 0.05)
            self._running -= 1
        return TEAMS.get(city)


@exercise(
    "12.2",
    title="Mend a handler that blocks",
    stub="""
    class ArchiveServicer(teams_pb2_grpc.TeamsServicer):
        def __init__(self, look_up):
            self.look_up = look_up

        async def GetTeam(self, request, context):
            nickname = self.look_up(request.city)
            if nickname is None:
                context.abort(grpc.StatusCode.NOT_FOUND, f"{request.city} has no team")
            return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
    """,
    solution="""
    class ArchiveServicer(teams_pb2_grpc.TeamsServicer):
        def __init__(self, look_up):
            self.look_up = look_up
            self.two = asyncio.Semaphore(2)

        async def GetTeam(self, request, context):
            async with self.two:
                nickname = await asyncio.to_thread(self.look_up, request.city)
            if nickname is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"{request.city} has no team")
            return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
    """,
    why="The thread blocks in place of the loop, the semaphore lets two in at a time, and `abort` is awaited.",
    hints=(
        "Which of the three lines of the handler blocks, and which one needs an `await`?",
        "`await asyncio.to_thread(self.look_up, request.city)` runs the look-up in a thread.",
        "Make an `asyncio.Semaphore(2)` in `__init__`, and put `async with` around the line that looks up.",
    ),
)
def _(answer: Any) -> None:
    async def check() -> None:
        async with AsyncExitStack() as stack:
            archive = _Archive()
            stub = await _serve_here(stack, called(answer, archive.look_up))

            async def nickname(city: str) -> Any:
                try:
                    return (await stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2)).nickname
                except grpc.RpcError as error:
                    return error.code() if error.code() == grpc.StatusCode.NOT_FOUND else error.details()

            expect_equal(call="GetTeam for Chicago", expected="Jackals", got=await nickname("Chicago"))
            if archive.held_up:
                raise NotYet(
                    f"I called GetTeam for {archive.held_up[0]}. The look-up ran in the thread of the event loop, "
                    "and everybody else had to wait for it."
                )
            got: Any = await nickname("Atlantis")
            if got == "":
                raise NotYet(
                    "I called GetTeam for Atlantis. Expected NOT_FOUND, but the handler went on to its end, and the "
                    "call ended with OK. Was `abort` run, or only called?"
                )
            expect_equal(call="GetTeam for Atlantis", expected=grpc.StatusCode.NOT_FOUND, got=got)
            cities = [*TEAMS][:6]
            got = await asyncio.gather(*map(nickname, cities))
            expect_equal(call="GetTeam for six cities at once", expected=[TEAMS[city] for city in cities], got=got)
            if archive.most != 2:
                raise NotYet(
                    f"I called GetTeam for six cities at once. I saw {archive.most} of their look-ups at the same "
                    "time, and the exercise asks for two."
                )

    _on_a_loop(check())


class _Open(TeamsServicer):
    """Sends three cities. Then it keeps the call open for a moment, unless it is to end."""

    def __init__(self, ends: bool = False) -> None:
        super().__init__()
        self.ends = ends
        self.ended = threading.Event()
        self.time_left = 0.0

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        self.time_left = context.time_remaining() or math.inf
        context.add_callback(self.ended.set)
        for city in CITIES:
            yield teams_pb2.TeamResponse(city=city)
        if not self.ends:
            self.ended.wait(4 * SOON)


@exercise(
    "12.3",
    title="Mend a client that leaves streams open",
    stub="""
    async def first_city(stub, fits):
        async for team in stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5):
            if await fits(team.city):
                return team.city
        return None
    """,
    solution="""
    async def first_city(stub, fits):
        stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)
        try:
            async for team in stream:
                if await fits(team.city):
                    return team.city
            return None
        finally:
            stream.cancel()
    """,
    why="The `finally` runs after the return, the error and the cancellation, and cancels a call that still runs.",
    hints=(
        "Give the call a name. Which method ends it?",
        "There are three ways out of the loop before the stream has ended. Which block runs on all of them?",
    ),
)
def _(answer: Any) -> None:
    async def boston(city: str) -> bool:
        return city == "Boston"

    async def none(city: str) -> bool:
        return False

    async def broken(city: str) -> bool:
        raise _FitsError("fits failed")

    async def check() -> None:
        async with AsyncExitStack() as stack:
            call = "first_city(stub, fits), with a fits for Boston"
            servicer, stub = await _open(stack)
            expect_equal(call=call, expected="Boston", got=await _awaited(call, answer, stub, boston))
            await _require_ended(f"I called {call}. The city is right", servicer)
            if servicer.time_left > YEAR:
                raise NotYet(f"I called {call}. The city is right, but the call had no deadline.")

            call = "first_city(stub, fits), with a fits that raises an error"
            servicer, stub = await _open(stack)
            try:
                got = await _awaited(call, answer, stub, broken)
            except _FitsError:
                await _require_ended(f"I called {call}. The error came", servicer)
            else:
                raise NotYet(f"I called {call}. Expected that error, but got {shown(got)}.")

            await _cancelled(stack, answer)

            call = "first_city(stub, fits), with a fits for no city"
            _, stub = await _open(stack, ends=True)
            expect_equal(call=call, expected=None, got=await _awaited(call, answer, stub, none))

    _on_a_loop(check())


class _FitsError(Exception):
    """Raised by the `fits` of a check."""


async def _open(stack: AsyncExitStack, ends: bool = False) -> tuple[_Open, Any]:
    servicer = _Open(ends)
    return servicer, await _stub_of(stack, serve(servicer).address)


async def _cancelled(stack: AsyncExitStack, answer: Any) -> None:
    considering = asyncio.Event()

    async def slow(city: str) -> bool:
        considering.set()
        await asyncio.sleep(4 * SOON)
        return False

    call = "first_city(stub, fits), and cancelled its task while fits was at work"
    servicer, stub = await _open(stack)
    task = asyncio.ensure_future(_awaited(call, answer, stub, slow))
    await asyncio.wait({task, asyncio.ensure_future(considering.wait())}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    got: Any = (await asyncio.gather(task, return_exceptions=True))[0]
    if not isinstance(got, asyncio.CancelledError):
        raise NotYet(f"I called {call}. Expected a CancelledError to come out, but got {shown(got)}.")
    await _require_ended(f"I called {call}. It came back", servicer)


async def _require_ended(what: str, servicer: _Open) -> None:
    # In a thread: the cancellation needs the loop.
    if not await asyncio.to_thread(servicer.ended.wait, SOON):
        raise NotYet(f"{what}, but its call still runs.")


FAR_AWAY: Final = "Llanfair" * 1_250
"""A city whose games are messages of 10 kB."""

HOME_NEWS: Final = Game("Chicago", "Boston", 21, 14)
NEWS: Final = Game("Boston", "Chicago", 14, 21)
OTHER_NEWS: Final = Game("Seattle", "Detroit", 7, 3)
BIG_NEWS: Final = Game("Seattle", FAR_AWAY, 7, 3)


class _CountedLeague(League):
    """Knows how many listen to it."""

    def __init__(self) -> None:
        super().__init__(TEAMS | {FAR_AWAY: "Dragons"})
        self.listeners = 0

    def listen(self, listener: Callable[[Game], None]) -> Callable[[], None]:
        end = super().listen(listener)
        self.listeners += 1
        listening = True

        def stop() -> None:
            nonlocal listening
            self.listeners -= listening
            listening = False
            end()

        return stop


class _Client:
    """A FollowTeams call that says in the learner's words what came in place of what should."""

    def __init__(self, stub: Any) -> None:
        self.call = stub.FollowTeams(timeout=LIMIT)

    async def follow(self, city: str) -> None:
        await self.send(city)
        await self.expect(f"I followed {city}", teams_pb2.ScoreUpdate(following=teams_pb2.Following(cities=[city])))

    async def send(self, city: str) -> None:
        try:
            await self.call.write(teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city=city))
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # the call has ended: what is read next tells why

    async def game(self, what: str, game: Game) -> None:
        result = teams_pb2.GameResult(home_city=game.home_city, away_city=game.away_city)
        await self.expect(what, teams_pb2.ScoreUpdate(game=result))

    async def expect(self, what: str, wanted: teams_pb2.ScoreUpdate) -> None:
        got = await self.read(what)
        if got is aio.EOF:
            raise NotYet(f"{what}. Expected {_said(wanted)}, but the call ended.")
        if got.WhichOneof("update") == "game":  # the scores may be there, or not
            got.game.ClearField("home_score")
            got.game.ClearField("away_score")
        if got != wanted:
            raise NotYet(f"{what}. Expected {_said(wanted)}, but got {_said(got)}.")

    async def read(self, what: str) -> Any:
        try:
            async with asyncio.timeout(SOON):
                return await self.call.read()
        except TimeoutError:
            raise NotYet(f"{what}. Half a second later, nothing had come.") from None
        except grpc.RpcError as error:
            raise NotYet(f"{what}. The call ended with {error.code()}: {error.details()}") from None


def _said(update: teams_pb2.ScoreUpdate) -> str:
    if update.WhichOneof("update") == "game":
        away = "a city far away" if update.game.away_city == FAR_AWAY else update.game.away_city
        return f"the game of {update.game.home_city} and {away}"
    return f"the answer that names {', '.join(update.following.cities) or 'no city'}"


@exercise(
    "12.4",
    title="Build a handler that pushes",
    stub='''
    class PushingServicer(teams_pb2_grpc.TeamsServicer):
        def __init__(self, league):
            self.league = league

        async def FollowTeams(self, request_iterator, context):
            """Answer each request, and push the games of the followed teams."""
            ...
    ''',
    solution='''
    class PushingServicer(teams_pb2_grpc.TeamsServicer):
        def __init__(self, league):
            self.league = league

        async def FollowTeams(self, request_iterator, context):
            """Answer each request, and push the games of the followed teams."""
            outbox, cities = asyncio.Queue(), set()

            async def read():
                async for request in request_iterator:
                    cities.add(request.city)
                    following = teams_pb2.Following(cities=[request.city])
                    outbox.put_nowait(teams_pb2.ScoreUpdate(following=following))
                outbox.put_nowait(None)

            def on_game(game):
                if game.home_city in cities or game.away_city in cities:
                    result = teams_pb2.GameResult(home_city=game.home_city, away_city=game.away_city)
                    outbox.put_nowait(teams_pb2.ScoreUpdate(game=result))

            stop_listening = self.league.listen(on_game)
            reader = asyncio.create_task(read())
            try:
                while (update := await outbox.get()) is not None:
                    yield update
            finally:
                stop_listening()
                reader.cancel()
    ''',
    why="One task reads, one sends, they meet at a queue, and the `finally` ends both the listening and the reader.",
    hints=(
        "There are two things to wait for: a request, and something to send. Make a task of the first.",
        "They meet at an `asyncio.Queue`: reader and listener call `put_nowait`, the loop that yields awaits `get()`. "
        "After the last request the reader puts in a sentinel.",
        "Keep the reader's task in a variable. Cancel it and stop listening in a `finally` around the loop.",
    ),
)
def _(answer: Any) -> None:
    async def check() -> None:
        async with AsyncExitStack() as stack:
            league = _CountedLeague()
            stub = await _serve_here(stack, called(answer, league))
            code = getattr(getattr(answer, "FollowTeams", None), "__code__", None)

            def tasks() -> list[Any]:
                """The tasks that still run code of the learner's cell."""
                codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
                return [each for each in codes if each and code and each.co_filename == code.co_filename]

            async def require_end(what: str) -> None:
                if not await _soon(lambda: not league.listeners):
                    raise NotYet(f"{what}. Half a second later, its handler still listens to the league.")
                if not await _soon(lambda: not tasks()):
                    raise NotYet(f"{what}. Half a second later, a task of its handler still runs.")

            await _converses(stub, league)
            await require_end("I half-closed the call, and it ended")
            await _leaves(stub, league)
            await require_end("I cancelled a call")
            await _crowds(stub, league)
            await require_end("I cancelled a call while many games waited")

    _on_a_loop(check())


async def _converses(stub: Any, league: _CountedLeague) -> None:
    client = _Client(stub)
    await client.follow("Chicago")
    if not league.listeners:
        raise NotYet("I followed Chicago, and the answer came. But nobody listens to the league.")
    league.record(HOME_NEWS)
    await client.game("I followed Chicago, sent no more requests, and Boston played in Chicago", HOME_NEWS)
    league.record(NEWS)
    await client.game("I followed Chicago. Boston played in Chicago, then Chicago in Boston", NEWS)
    await client.follow("Detroit")
    league.record(Game("Seattle", "Arizona", 3, 3))
    league.record(OTHER_NEWS)
    what = "I followed Chicago and Detroit. Seattle played Arizona, then Detroit"
    await client.game(what, OTHER_NEWS)
    await client.send("Boston")
    await client.call.done_writing()
    what = "I followed Boston and half-closed the call at once"
    await client.expect(what, teams_pb2.ScoreUpdate(following=teams_pb2.Following(cities=["Boston"])))
    rest = await client.read("I half-closed the call, and waited for its end")
    if rest is not aio.EOF:
        raise NotYet(f"I half-closed the call. Expected no more updates, but got {_said(rest)}.")


async def _leaves(stub: Any, league: League) -> None:
    client = _Client(stub)
    await client.follow("Seattle")
    league.record(NEWS)
    league.record(OTHER_NEWS)
    what = "In a new call I followed Seattle only. Boston played Chicago, then Seattle played Detroit"
    await client.game(what, OTHER_NEWS)
    client.call.cancel()


async def _crowds(stub: Any, league: League) -> None:
    client = _Client(stub)
    await client.follow("Seattle")
    for _ in range(60):  # more than flow control lets through: the handler has to wait while it sends
        league.record(BIG_NEWS)
    await asyncio.sleep(0.05)
    await client.send("Boston")
    await asyncio.sleep(0.05)
    for _ in range(60):
        await client.game("Seattle played 60 long games while I read nothing, and I followed Boston", BIG_NEWS)
    what = "Seattle played 60 long games while I read nothing. I followed Boston, and read the games"
    await client.expect(what, teams_pb2.ScoreUpdate(following=teams_pb2.Following(cities=["Boston"])))
    for _ in range(60):
        league.record(BIG_NEWS)
    await asyncio.sleep(0.05)
    client.call.cancel()
