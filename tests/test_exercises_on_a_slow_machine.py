"""Exercises are judged alike on a slow machine: each test stands still where a machine under load may."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

from teams_lib import teams_pb2, teams_pb2_grpc
from teams_lib.exercises import Result, _runner, check, find, nb04, nb05, nb10, nb12, nb14, serve

import grpc
import pytest

STALL = 0.5
"""Seconds for which a machine under load may leave a thread alone."""


def stall_before_call(monkeypatch: pytest.MonkeyPatch, module: ModuleType, number: int) -> None:
    """Let every server of a check stand still before it takes its call of this number, counted from 1."""

    class Stalling(grpc.ServerInterceptor):
        calls = 0

        def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
            self.calls += 1
            time.sleep(STALL * (self.calls == number))
            return continuation(details)

    monkeypatch.setattr(module, "serve", lambda servicer, **options: serve(servicer, interceptors=[Stalling()]))


def stall_in_handler(monkeypatch: pytest.MonkeyPatch, servicer: type, number: int) -> None:
    """Let each servicer of this class stand still when its handler begins for the call of this number."""
    genuine: Any = servicer.GetTeam  # type: ignore[attr-defined]
    calls: Counter[int] = Counter()

    def get_team(self: object, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> Any:
        calls[id(self)] += 1
        time.sleep(STALL * (calls[id(self)] == number))
        return genuine(self, request, context)

    monkeypatch.setattr(servicer, "GetTeam", get_team)


def solve(exercise_id: str, spoilt: tuple[str, str] = ("", ""), **names: object) -> Result:
    """Hand in the solution of an exercise, or one with a change, as a notebook in which these names are defined."""
    learner: dict[str, Any] = {
        "asyncio": asyncio,
        "grpc": grpc,
        "suppress": suppress,
        "teams_pb2": teams_pb2,
        "teams_pb2_grpc": teams_pb2_grpc,
        "time": time,
        **names,
    }
    exercise = find(exercise_id)
    assert spoilt[0] in exercise.solution
    exec(exercise.solution.replace(*spoilt), learner)
    return check(exercise_id, eval(exercise.answer, learner))


def test_calls_made_at_once_may_arrive_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    stall_in_handler(monkeypatch, nb04._Gathering, 2)
    assert solve("04.2").message == find("04.2").title


def test_calls_of_tasks_may_arrive_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    stall_in_handler(monkeypatch, nb12._Gathering, 2)
    assert solve("12.1").message == find("12.1").title


def test_a_call_that_runs_on_may_be_over_when_the_check_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = nb05.expect_equal

    def expect_equal(**values: Any) -> None:
        time.sleep(STALL)
        genuine(**values)

    monkeypatch.setattr(nb05, "expect_equal", expect_equal)
    result = solve("05.1", spoilt=("stream.cancel()", "pass"))
    assert result.message.endswith("The cities are right, but the call still runs.")


def test_a_cancellation_may_take_long_to_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine: Any = grpc._channel._MultiThreadedRendezvous.cancel

    def cancel_later(call: Any) -> bool:
        threading.Timer(STALL, genuine, args=(call,)).start()
        return True

    monkeypatch.setattr(grpc._channel._MultiThreadedRendezvous, "cancel", cancel_later)
    assert solve("05.3").message == find("05.3").title


def test_a_deadline_may_pass_before_the_handler_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    stall_before_call(monkeypatch, nb10, 1)
    assert solve("10.2").message == find("10.2").title


def test_a_handler_may_begin_long_before_it_waits() -> None:
    def wait_for_news(news: threading.Event, context: grpc.ServicerContext) -> bool:
        time.sleep(0.15)
        context.add_callback(news.set)
        news.wait()
        return True

    assert check("10.2", wait_for_news).message.endswith("and whoever else waits for it is misled.")


def test_the_time_left_may_shrink_before_the_attempt_begins() -> None:
    requests = 0

    def request(city: str) -> teams_pb2.TeamRequest:
        nonlocal requests
        requests += 1
        if requests == 7:  # the last attempt of 0.6 seconds, in which all get stuck
            time.sleep(0.15)
        return teams_pb2.TeamRequest(city=city)

    result = solve("10.3", teams_pb2=SimpleNamespace(TeamRequest=request))
    assert result.message == find("10.3").title
    assert requests > 7


def test_an_attempt_may_take_long_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    stall_before_call(monkeypatch, nb10, 1)
    result = solve("10.3", spoilt=("time.sleep(0.05)", "pass"))
    assert result.message.endswith("without a pause of 0.05 seconds.")


@pytest.mark.parametrize(("cities", "late"), [(7, "Seattle"), (2, "Boston")])
def test_calls_made_at_once_may_be_over_before_the_last_one_is_there(
    monkeypatch: pytest.MonkeyPatch, cities: int, late: str
) -> None:
    genuine = nb10._Page.GetTeam
    seconds = iter([1.6])

    def get_team(page: nb10._Page, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> Any:
        if (page.cities, request.city) == (cities, late):
            time.sleep(next(seconds, 0))
        return genuine(page, request, context)

    monkeypatch.setattr(nb10._Page, "GetTeam", get_team)
    assert solve("10.4").message == find("10.4").title
    assert list(seconds) == []


def test_a_call_may_run_before_its_caller_has_it_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        def __init__(self, channel: grpc.Channel) -> None:
            self.genuine, self.GetTeam = teams_pb2_grpc.TeamsStub(channel), self

        def future(self, request: teams_pb2.TeamRequest, timeout: float) -> Any:
            call = self.genuine.GetTeam.future(request, timeout=timeout)
            time.sleep(0.3 if timeout == 1.5 else 0)  # the one that is interrupted
            return call

    monkeypatch.setattr(nb10, "teams_pb2_grpc", SimpleNamespace(TeamsStub=Stub))
    assert solve("10.4").message == find("10.4").title


def test_a_caller_that_comes_back_too_soon_may_take_its_time_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nb14, "PATIENCE", 3.0)  # the test must not depend on how long its own stall really takes

    def report(stub: Any, games: list[teams_pb2.GameResult]) -> None:
        _call = stub.ReportGames.future(iter(games), timeout=5)
        time.sleep(0.3)  # long enough for all games to arrive

    assert check("14.5", report).message.endswith("It came back, but the server has not counted them all.")


@pytest.mark.parametrize("look", range(1, 6))
def test_a_thread_of_a_library_may_end_while_the_threads_are_counted(
    monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    genuine: Callable[[], list[threading.Thread]] = threading.enumerate
    looks = 0

    def enumerate_threads() -> list[threading.Thread]:
        nonlocal looks
        looks += 1
        if looks == look:  # counted from the check's start
            threading.Thread(target=time.sleep, args=(0.05,), name="about to end").start()
        return genuine()

    monkeypatch.setattr(_runner.threading, "enumerate", enumerate_threads)
    assert solve("02.1").message == find("02.1").title
