"""Set deadlines, and stop work that nobody waits for.

Every check serves handlers of its own, which say when they begin and when their call is over, so that it waits for
events. A time is judged only where the exercise is about time, and with room for a slow machine.
"""

import ctypes
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve

import grpc

RESERVE: Final = 0.3  # seconds that a gateway keeps for itself
PATIENCE: Final = 1.0  # seconds that a check waits for what a right answer does at once
ROUNDING: Final = 0.05  # seconds and share by which a deadline may differ from one side to the other
CHICAGO: Final = teams_pb2.TeamRequest(city="Chicago")


def _until_gone(context: grpc.ServicerContext, seconds: float = 5.0) -> None:
    gone = threading.Event()
    if context.add_callback(gone.set):
        gone.wait(seconds)


class _Raised:
    """Keeps what the learner's code raises in a handler, to raise it where the runner finds its line."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.errors.append(error)
            raise


class _Clock(TeamsServicer):
    """Notes how much time each call has."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.seconds.append(context.time_remaining())
        return super().GetTeam(request, context)


class _Gateway(TeamsServicer):
    """Answers with what the learner's function gets from the service behind it."""

    def __init__(self, answer: Any, teams: Any) -> None:
        super().__init__()
        self.answer, self.teams = answer, teams
        self.raised = _Raised()
        self.left = 0.0

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.left = context.time_remaining()
        with self.raised.kept():
            response = called(self.answer, self.teams, request, context)
            if not isinstance(response, teams_pb2.TeamResponse):
                raise NotYet(f"I called passed_on(teams, request, context). I expected a team, but got {response!r}.")
        return response


@exercise(
    "10.1",
    title="Pass the deadline on",
    stub="""
    def passed_on(teams, request, context):
        return teams.GetTeam(request, timeout=5)
    """,
    solution="""
    def passed_on(teams, request, context):
        return teams.GetTeam(request, timeout=min(context.time_remaining() - 0.3, 2))
    """,
    why="What the caller has left, less the reserve, bounds the call; the 2 bounds that, also without a deadline.",
    hints=(
        "`context.time_remaining()` says how many seconds the caller has left. The reserve comes off that.",
        "Without a deadline that is a number too large for `timeout=`. Which function gives the smaller of two?",
    ),
)
def _(answer: Any) -> None:
    clock = _Clock()
    gateway = _Gateway(answer, teams_pb2_grpc.TeamsStub(connect(serve(clock).address)))
    stub = teams_pb2_grpc.TeamsStub(connect(serve(gateway).address))
    for timeout, who in ((1, "a deadline of 1 second"), (60, "a deadline of 60 seconds"), (None, "no deadline")):
        case = f"A caller with {who} asked the gateway."
        call = stub.GetTeam.future(CHICAGO, timeout=timeout)
        try:
            nickname = call.result(timeout=PATIENCE + 1).nickname
        except (grpc.RpcError, grpc.FutureTimeoutError) as error:
            call.cancel()
            for inner in gateway.raised.errors:
                if isinstance(inner, grpc.RpcError) and isinstance(inner, grpc.Call):
                    reason = f"The call to `teams` failed with {inner.code().name}: {inner.details()}"
                    raise NotYet(f"{case} {reason}. How much time did you give it?") from None
                raise inner from None
            raise error
        expect_equal(call="the gateway", expected="Jackals", got=nickname)
        if len(clock.seconds) != 1:
            raise NotYet(f"{case} I expected one call to `teams`, but counted {len(clock.seconds)}.")
        given = clock.seconds.pop()
        shown = "no deadline" if given > 3600 else f"{given:.1f} seconds"
        if given > 2 + ROUNDING:
            raise NotYet(f"{case} The call to `teams` should get 2 seconds at most, but got {shown}.")
        if given > (gateway.left - RESERVE) * (1 + ROUNDING) + ROUNDING:
            left = f"{gateway.left:.1f} seconds left, of which {RESERVE} are the gateway's"
            raise NotYet(f"{case} It had {left}, but the call to `teams` got {shown}.")


class _News(threading.Event):
    """Counts how often it is asked, or waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.in_use = threading.Event()

    def is_set(self) -> bool:
        self.asked += 1
        self.in_use.set()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.asked += 1
        self.in_use.set()
        return super().wait(timeout)


class _Waiting(TeamsServicer):
    """Runs the learner's waiting function as its handler, and says how it ended."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer, self.news = answer, _News()
        self.raised = _Raised()
        self.entered = threading.Event()
        self.results: queue.SimpleQueue[object] = queue.SimpleQueue()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.entered.set()
        result: object = None
        try:
            with self.raised.kept():
                result = called(self.answer, self.news, context)
        finally:
            self.results.put(result)
        return super().GetTeam(request, context)

    def result(self, case: str) -> object:
        try:
            result = self.results.get(timeout=PATIENCE)
        except queue.Empty:
            raise NotYet(f"{case} One second later wait_for_news still waits.") from None
        for error in self.raised.errors:
            raise error
        return result


@exercise(
    "10.2",
    title="Mend a handler that waits for somebody else",
    stub="""
    def wait_for_news(news, context):
        news.wait()
        return True
    """,
    solution="""
    def wait_for_news(news, context):
        while context.is_active():
            if news.wait(timeout=0.05):
                return True
        return False
    """,
    why="One thread can't wait for two events at once, so it waits for one in portions, and asks after the other.",
    hints=(
        "`news.wait(timeout=…)` gives up after a while, and says whether the event is set.",
        "Between two short waits, ask the context whether anybody still wants the answer.",
        "Don't set `news` yourself to end the waiting: others wait for it too, and would believe in it.",
    ),
)
def _(answer: Any) -> None:
    def start(timeout: float) -> tuple[_Waiting, Any]:
        waiting = _Waiting(answer)
        stub = teams_pb2_grpc.TeamsStub(connect(serve(waiting).address))
        clean_up(waiting.news.set)  # so that a handler that only waits for this ends
        for _ in range(5):  # on a slow machine a deadline may pass before the handler begins
            call = stub.GetTeam.future(CHICAGO, timeout=timeout)
            if waiting.entered.wait(min(timeout, PATIENCE)):
                break
        waiting.news.in_use.wait(0.3)  # what the function does before is not what the check is about
        return waiting, call

    waiting, _call = start(timeout=10)
    with suppress(queue.Empty):
        early = waiting.results.get(timeout=0.3)
        for error in waiting.raised.errors:
            raise error
        raise NotYet(f"There was no news yet, and the caller waited. wait_for_news returned {early!r} already.")
    asked = waiting.news.asked
    waiting.news.set()
    got = waiting.result("The news came while the caller waited.")
    expect_equal(call="wait_for_news, and the news came", expected=True, got=got)
    if asked > 1_000:
        raise NotYet(
            f"The answer is right, but it asked for news {asked:,} times in 0.3 seconds, and keeps the processor busy."
        )

    for case, timeout in (("The caller cancelled.", 10.0), ("The caller's deadline of 0.2 seconds passed.", 0.2)):
        waiting, call = start(timeout)
        if timeout == 10:
            call.cancel()
        got = waiting.result(case)
        if waiting.news.is_set():
            raise NotYet(f"{case} There was no news, but now `news` is set, and whoever else waits for it is misled.")
        expect_equal(call=f"wait_for_news. {case.rstrip('.')}, without news", expected=False, got=got)


class _Attempts(grpc.UnaryUnaryClientInterceptor):
    """Notes when each attempt began, and with which timeout, and when and how it ended."""

    def __init__(self) -> None:
        self.log: list[tuple[float, float | None]] = []
        self.codes: list[grpc.StatusCode] = []
        self.ends: list[float] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.log.append((time.monotonic(), details.timeout))
        if len(self.log) > 50:
            raise NotYet("I counted 50 attempts, and stopped there. Pause before you try again.")
        # Without a timeout, a stuck attempt would outlast the check.
        call = continuation(details if details.timeout is not None else details._replace(timeout=0.2), request)
        call.add_done_callback(self._end)
        return call

    def _end(self, call: Any) -> None:
        self.ends.append(time.monotonic())
        self.codes.append(call.code())


class _Moody(TeamsServicer):
    """Fares with each call as its script says; the last entry holds for all that follow."""

    def __init__(self, *script: grpc.StatusCode | None) -> None:
        super().__init__()
        self.script = list(script)

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        mood = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if mood == grpc.StatusCode.DEADLINE_EXCEEDED:
            _until_gone(context)
        elif mood is not None:
            context.abort(mood, "the check ends this attempt")
        return super().GetTeam(request, context)


@exercise(
    "10.3",
    title="Stay within the budget",
    stub='''
    def persistent(stub, city, seconds):
        """Return the nickname, within so many seconds."""
        ...
    ''',
    solution="""
    AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


    def persistent(stub, city, seconds):
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                request = teams_pb2.TeamRequest(city=city)
                return stub.GetTeam(request, timeout=min(left, 0.2)).nickname
            except grpc.RpcError as error:
                if error.code() not in AGAIN or time.monotonic() + 0.05 >= deadline:
                    raise
            time.sleep(0.05)
    """,
    why="One deadline is made before the loop; each attempt gets a share of what is left.",
    hints=(
        "Before the first attempt, note when all must be over: `time.monotonic() + seconds`.",
        "An attempt's timeout is the smaller of 0.2 and what is left until then.",
        "Before you pause, look whether there is time left for the pause; if not, `raise`.",
    ),
)
def _(answer: Any) -> None:
    unavailable, late = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
    denied = grpc.StatusCode.PERMISSION_DENIED

    def run(case: str, seconds: float, *script: grpc.StatusCode | None) -> tuple[object, _Attempts, float]:
        """What came out, a value or a code; the attempts; how long it idled after the time and the attempts."""
        for _ in range(3):
            outcome, attempts, idle, overdrawn = run_once(case, seconds, *script)
            if not overdrawn:
                return outcome, attempts, idle
        # A slow machine may come between the learner's look at the clock and an attempt, but hardly three times.
        raise NotYet(f"{case} {overdrawn}")

    def run_once(case: str, seconds: float, *script: grpc.StatusCode | None) -> tuple[object, _Attempts, float, str]:
        """The same, and what is wrong with an attempt that got more time than was left."""
        attempts = _Attempts()
        overdrawn = ""
        channel = connect(serve(_Moody(*script)).address, attempts)
        outcome: object
        begin = time.monotonic()
        try:
            outcome = called(answer, teams_pb2_grpc.TeamsStub(channel), "Chicago", seconds)
        except grpc.RpcError as error:
            if not isinstance(error, grpc.Call):
                raise
            outcome = error.code()
        except (UnboundLocalError, TypeError) as error:  # it has no error to raise
            if seconds:
                raise
            what = f"{type(error).__name__}: {error}"
            raise NotYet(f"{case} I expected an attempt, and its error, but got {what}.") from None
        idle = time.monotonic() - max([begin + seconds, *attempts.ends])
        took = time.monotonic() - begin
        for started, timeout in attempts.log:
            left = begin + seconds - started
            if timeout is None:
                raise NotYet(f"{case} An attempt had no timeout=.")
            if timeout > 0.2 + 1e-6:
                raise NotYet(f"{case} An attempt had timeout={timeout:.2f}; 0.2 is the most.")
            if timeout > max(left, 0) + ROUNDING:
                overdrawn = (
                    f"{seconds:g} seconds were allowed. An attempt began with {max(left, 0):.2f} of them left, "
                    f"and got timeout={timeout:.2f}."
                )
        for ended, (later, _) in zip(attempts.ends, attempts.log[1:], strict=False):
            if later - ended < 0.045:
                raise NotYet(f"{case} An attempt followed the one before it without a pause of 0.05 seconds.")
        if took > seconds + PATIENCE:
            raise NotYet(f"{case} {seconds:g} seconds were allowed, but it took {took:.1f}.")
        return outcome, attempts, idle, overdrawn

    case = "The first attempt got UNAVAILABLE, the second got stuck, the third would be answered."
    got, attempts, _ = run(case, 1.5, unavailable, late, None)
    if got in (unavailable, late):
        raise NotYet(f"{case} It gave up with {got.name}, after {len(attempts.log)} of these attempts.")
    expect_equal(call='persistent(stub, "Chicago", 1.5)', expected="Jackals", got=got)

    case = "Every attempt gets PERMISSION_DENIED."
    got, attempts, _ = run(case, 1, denied)
    # Only what the server said counts: on a busy machine an attempt may also run out of time, and be made again.
    if (count := attempts.codes.count(denied)) > 1:
        raise NotYet(f"{case} That is not a reason to try again, but I counted {count} attempts.")
    expect_equal(call=f"persistent. {case} What came out", expected=denied, got=got)

    # There is time for a third attempt, so a slow machine leaves it for a second one.
    for mood, seconds in ((late, 0.6), (unavailable, 0.4)):
        case = "Every attempt gets stuck." if mood is late else "Every attempt gets UNAVAILABLE."
        got, attempts, idle = run(case, seconds, mood)
        if got is not late:  # as the last attempt may end, whatever the server says: it may have a moment only
            expect_equal(call=f"persistent. {case} What came out", expected=mood, got=got)
        if len(attempts.log) < 2:
            raise NotYet(f"{case} There was time for another attempt, but I counted {len(attempts.log)}.")
        # A slow machine may delay one run, but hardly three in a row.
        if idle > 0.04 and all(run(case, seconds, mood)[2] > 0.04 for _ in range(2)):
            raise NotYet(f"{case} {seconds:g} seconds were allowed, and it paused although they were over.")

    case = "0 seconds were allowed."
    got, _, _ = run(case, 0, late)
    expect_equal(call=f"persistent. {case} What came out", expected=late, got=got)


class _Page(TeamsServicer):
    """Answers once all calls are here at the same time, or does not wait longer; some take too long, one fails."""

    def __init__(self, cities: int, slow: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.cities, self.slow = cities, slow
        self.lock = threading.Lock()
        self.all_here = threading.Event()
        self.active = self.most = 0
        self.nobody = threading.Event()
        self.unlimited = False
        self.in_turn = False  # then there is nothing more to wait for

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
            self.nobody.clear()
            if self.active == self.cities:
                self.all_here.set()
        self.unlimited = self.unlimited or context.time_remaining() > 3600
        if not context.add_callback(self._over):
            self._over()
        self.in_turn = self.in_turn or not self.all_here.wait(0.7)
        if request.city in self.slow and not self.in_turn:
            _until_gone(context)
        if request.city == "Atlantis":
            context.abort(grpc.StatusCode.NOT_FOUND, "the check knows no such city")
        return super().GetTeam(request, context)

    def _over(self) -> None:
        with self.lock:
            self.active -= 1
            if self.active == 0:
                self.nobody.set()


@exercise(
    "10.4",
    title="Build a page from what comes in time",
    stub='''
    def page(stub, cities, seconds):
        """Return the nicknames that came in time, by city."""
        ...
    ''',
    solution="""
    def page(stub, cities, seconds):
        calls, found = {}, {}
        try:
            for city in cities:
                request = teams_pb2.TeamRequest(city=city)
                calls[city] = stub.GetTeam.future(request, timeout=seconds)
            for city, call in calls.items():
                with suppress(grpc.RpcError):
                    found[city] = call.result().nickname
        finally:
            for call in calls.values():
                call.cancel()
        return found
    """,
    why="All futures start with the same deadline, so waiting for them in turn takes no longer than that.",
    hints=(
        "`stub.GetTeam.future(request, timeout=seconds)` starts a call and goes on. Start all before you wait for one.",
        "`result()` raises the error of a call that failed or came too late: leave that city out.",
        "Put the waiting into `try`, and in `finally` cancel every call. On one that has ended, that does nothing.",
    ),
)
def _(answer: Any) -> None:
    def stub_of(servicer: _Page) -> Any:
        return teams_pb2_grpc.TeamsStub(connect(serve(servicer, max_workers=20).address))

    slow = frozenset({"Boston", "Arizona", "New York"})
    cities = [*slow, "Chicago", "Atlantis", "Detroit", "Seattle"]
    call = "page(stub, cities, 0.8), where three cities take too long and Atlantis fails"
    for _ in range(3):
        servicer = _Page(len(cities), slow)
        begin = time.monotonic()
        try:
            got = called(answer, stub_of(servicer), cities, 0.8)
        except (grpc.RpcError, grpc.FutureTimeoutError, grpc.FutureCancelledError) as error:
            what = error.code().name if isinstance(error, grpc.Call) else type(error).__name__
            raise NotYet(f"I called {call}. It raised {what}, instead of leaving that city out.") from None
        took = time.monotonic() - begin
        # On a slow machine some calls may be over when the last one comes, but hardly three times.
        if servicer.all_here.is_set() or servicer.most == 1:
            break
    if not servicer.all_here.is_set():
        raise NotYet(f"I called {call}. I expected all {len(cities)} calls at the same time, but they never were.")
    expect_equal(call=call, expected={"Chicago": "Jackals", "Detroit": "Wheels", "Seattle": "Orcas"}, got=got)
    if took > 0.8 + PATIENCE:
        raise NotYet(f"I called {call}. It took {took:.1f} seconds: they are for the whole page, not for each city.")
    if servicer.unlimited:
        raise NotYet(f"I called {call}. The page is right, but a call had no timeout=.")
    if not servicer.nobody.wait(PATIENCE):
        raise NotYet(f"I called {call}. The page is right, but a second later one of its calls still runs.")

    call = "page(stub, cities, 30), where all answer at once"
    servicer = _Page(2)
    begin = time.monotonic()
    got = called(answer, stub_of(servicer), ["Chicago", "Seattle"], 30)
    expect_equal(call=call, expected={"Chicago": "Jackals", "Seattle": "Orcas"}, got=got)

    _check_interrupted(answer, stub_of)


def _waits(ident: int) -> bool:
    """Whether a thread waits for another one: whatever of Python or gRPC it waits for, it does so here."""
    frame = sys._current_frames().get(ident)
    return frame is not None and frame.f_code is threading.Condition.wait.__code__


def _check_interrupted(answer: Any, stub_of: Any) -> None:
    case = "I interrupted page(stub, cities, 1.5) while it waited."
    for _ in range(3):
        servicer = _Page(2, slow=frozenset({"Boston", "Chicago"}))
        interrupted, kept = _interrupt(answer, stub_of(servicer), servicer.all_here)
        if interrupted:  # on a slow machine one call may be over when the other one comes
            break
    if kept is None:
        raise NotYet(f"{case} I expected KeyboardInterrupt to come out, but it got lost.")
    if not servicer.nobody.wait(PATIENCE):
        raise NotYet(f"{case} A second later its calls still run.")


def _interrupt(answer: Any, stub: Any, all_here: threading.Event) -> tuple[bool, KeyboardInterrupt | None]:
    """Raise KeyboardInterrupt in this thread while the learner's function waits.

    Returns:
        whether there was a moment for it, and the error that came out, as a notebook keeps it, with all that the
        function's names hold.
    """
    me, sent, over = threading.get_ident(), threading.Event(), threading.Event()

    def interrupt() -> None:
        if all_here.wait(PATIENCE):
            # A call may run before the function has it in hand: until it waits, no code of its could cancel that.
            end = time.monotonic() + PATIENCE / 2
            while not _waits(me) and time.monotonic() < end:
                time.sleep(0.005)
            # What the stop button does to the main thread; a check runs in another one.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(KeyboardInterrupt))
            sent.set()
        over.set()

    thread = threading.Thread(target=interrupt, daemon=True)
    returned, kept = False, None
    try:
        thread.start()
        called(answer, stub, ["Boston", "Chicago"], 1.5)
        returned = True
        over.wait(PATIENCE)
        time.sleep(0)  # a place for an interrupt that comes late
    except KeyboardInterrupt as error:
        kept = error
    thread.join(PATIENCE)
    return sent.is_set(), None if returned else kept
