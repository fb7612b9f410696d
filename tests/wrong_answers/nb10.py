"""Wrong answers to the exercises of notebook 10."""

from tests.wrong_answers import spoilt

# Pauses also when no time is left for it, and has no error to raise when it got no time at all.
PAUSES_TOO_LONG = """
def persistent(stub, city, seconds):
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=min(left, 0.2)).nickname
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            last = error
        time.sleep(0.05)
    raise last
"""

WRONG = {
    "10.1": [
        (
            spoilt("10.1", ("min(context.time_remaining() - 0.3, 2)", "context.time_remaining() - 0.3")),
            "The call to `teams` should get 2 seconds at most, but got 59.",
        ),
        (
            spoilt("10.1", (" - 0.3", "")),
            "left, of which 0.3 are the gateway's, but the call to `teams` got",
        ),
        (
            spoilt("10.1", ("min(context.time_remaining() - 0.3, 2)", "2")),
            "but the call to `teams` got 2.0 seconds",
        ),
        (
            spoilt("10.1", ("min(context.time_remaining() - 0.3, 2)", "min(context.time_remaining() - 0.3, 5)")),
            "should get 2 seconds at most, but got 5.0 seconds",
        ),
        (
            spoilt("10.1", (", timeout=min(context.time_remaining() - 0.3, 2)", "")),
            "should get 2 seconds at most, but got no deadline",
        ),
        (
            "def passed_on(teams, request, context):\n"
            "    left = context.time_remaining() - 0.3\n"
            "    return teams.GetTeam(request, timeout=left if left > 1e9 else min(left, 2))",
            "A caller with no deadline asked the gateway. The call to `teams` failed with DEADLINE_EXCEEDED",
        ),
        (
            spoilt("10.1", ("return teams", "teams")),
            "I expected a team, but got None",
        ),
    ],
    "10.2": [
        (
            "def wait_for_news(news, context):\n    news.wait(context.time_remaining())\n    return news.is_set()",
            "The caller cancelled. One second later wait_for_news still waits",
        ),
        (
            "def wait_for_news(news, context):\n    context.add_callback(news.set)\n    news.wait()\n    return True",
            "whoever else waits for it is misled",
        ),
        (
            spoilt("10.2", ("timeout=0.05", "timeout=0")),
            "and keeps the processor busy",
        ),
        (
            spoilt("10.2", ("while context.is_active():", "while context.time_remaining() > 0:")),
            "The caller cancelled. One second later wait_for_news still waits",
        ),
        (
            spoilt("10.2", ("    return False", "    return True")),
            "The caller cancelled, without news. Expected False, but got True",
        ),
        (
            "def wait_for_news(news, context):\n    return news.wait(timeout=0.1)",
            "There was no news yet, and the caller waited",
        ),
        (
            "def wait_for_news(news, context):\n    while not news.wait(timeout=0.05):\n        pass\n    return True",
            "One second later wait_for_news still waits",
        ),
    ],
    "10.3": [
        (
            spoilt("10.3", ("min(left, 0.2)", "0.2")),
            "and got timeout=0.20",
        ),
        (
            spoilt("10.3", ("min(left, 0.2)", "left")),
            "An attempt had timeout=1.",
        ),
        (
            spoilt(
                "10.3",
                ("(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)", "(grpc.StatusCode.UNAVAILABLE,)"),
            ),
            "It gave up with DEADLINE_EXCEEDED, after 2 of these attempts",
        ),
        (
            spoilt("10.3", ("error.code() not in AGAIN or ", "")),
            "That is not a reason to try again",
        ),
        (
            spoilt("10.3", ("        time.sleep(0.05)", "        pass")),
            "without a pause of 0.05 seconds",
        ),
        (
            spoilt("10.3", (", timeout=min(left, 0.2)", "")),
            "An attempt had no timeout=",
        ),
        (
            spoilt("10.3", ("                raise\n", "                return None\n")),
            "Expected <StatusCode.PERMISSION_DENIED",
        ),
        (
            "def persistent(stub, city, seconds):\n"
            "    for _ in range(3):\n"
            "        try:\n"
            "            request = teams_pb2.TeamRequest(city=city)\n"
            "            return stub.GetTeam(request, timeout=min(seconds, 0.2)).nickname\n"
            "        except grpc.RpcError as error:\n"
            "            last = error\n"
            "            if error.code() == grpc.StatusCode.PERMISSION_DENIED:\n"
            "                raise\n"
            "        time.sleep(0.05)\n"
            "    raise last",
            "0.6 seconds were allowed",
        ),
        (
            PAUSES_TOO_LONG,
            "seconds were allowed, and it paused although they were over",  # a busy machine may notice in another case
        ),
        (
            PAUSES_TOO_LONG.replace("sleep(0.05)", "sleep(min(0.05, max(deadline - time.monotonic(), 0)))"),
            "0 seconds were allowed. I expected an attempt, and its error, but got UnboundLocalError",
        ),
        (
            PAUSES_TOO_LONG.replace("sleep(0.05)", "sleep(min(0.05, max(deadline - time.monotonic(), 0)))").replace(
                "    while", "    last = None\n    while"
            ),
            "0 seconds were allowed. I expected an attempt, and its error, but got TypeError",
        ),
    ],
    "10.4": [
        (
            "def page(stub, cities, seconds):\n"
            "    found = {}\n"
            "    for city in cities:\n"
            "        with suppress(grpc.RpcError):\n"
            "            request = teams_pb2.TeamRequest(city=city)\n"
            "            found[city] = stub.GetTeam(request, timeout=seconds).nickname\n"
            "    return found",
            "I expected all 7 calls at the same time, but they never were",
        ),
        (
            spoilt("10.4", ("call.cancel()", "pass")),
            "I interrupted page(stub, cities, 1.5) while it waited. A second later its calls still run",
        ),
        (
            spoilt("10.4", ("with suppress(grpc.RpcError):", "if True:")),
            "instead of leaving that city out",
        ),
        (
            spoilt(
                "10.4",
                ("suppress(grpc.RpcError)", "suppress(grpc.RpcError, grpc.FutureTimeoutError)"),
                ("timeout=seconds", "timeout=60"),
                ("call.result()", "call.result(timeout=seconds)"),
            ),
            "they are for the whole page, not for each city",
        ),
        (
            spoilt(
                "10.4",
                ("calls, found = {}, {}", "calls, found, end = {}, {}, time.monotonic() + seconds"),
                ("suppress(grpc.RpcError)", "suppress(grpc.RpcError, grpc.FutureTimeoutError)"),
                (", timeout=seconds", ""),
                ("call.result()", "call.result(timeout=max(end - time.monotonic(), 0.01))"),
            ),
            "a call had no timeout=",
        ),
        (
            spoilt("10.4", ("suppress(grpc.RpcError)", "suppress(BaseException)")),
            "I expected KeyboardInterrupt to come out, but it got lost",
        ),
        (
            spoilt("10.4", ("found[city] = call.result().nickname", "found[city] = call.result()")),
            "Expected {'Chicago': 'Jackals', 'Detroit': 'Wheels', 'Seattle': 'Orcas'}",
        ),
    ],
}
