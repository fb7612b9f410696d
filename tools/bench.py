"""BackgroundServer against a bare grpc.server, and a WireTap against none: the same process, interleaved rounds.

    python -m tools.bench [--rounds 9]

Prints ratios, the median over the rounds. Those of rates are better when higher, that of the unary p50, a time, when
lower. On a machine that does other things too, only such ratios within one run mean anything.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent import futures
from functools import partial
from itertools import pairwise

from teams_lib import BackgroundServer, League, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.wire import WireTap, decode

import grpc

CALLS = 1_000
TEAMS = 10_000


def unary(stub: teams_pb2_grpc.TeamsStub) -> int:
    """Blocking unary calls, one after the other."""
    request = teams_pb2.TeamRequest(city="Boston")
    for _ in range(CALLS):
        stub.GetTeam(request, timeout=10)
    return CALLS


def response_stream(stub: teams_pb2_grpc.TeamsStub) -> int:
    """One response stream of many small messages."""
    return sum(1 for _ in stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=60))


def request_stream(stub: teams_pb2_grpc.TeamsStub) -> int:
    """One request stream of many small messages."""
    game = teams_pb2.GameResult(home_city="City 1", away_city="City 2", home_score=1)
    return stub.ReportGames((game for _ in range(TEAMS // 2)), timeout=60).accepted


WORKLOADS: dict[str, Callable[[teams_pb2_grpc.TeamsStub], int]] = {
    "unary calls": unary,
    "response stream": response_stream,
    "request stream": request_stream,
}


def rate(workload: Callable[[teams_pb2_grpc.TeamsStub], int], stub: teams_pb2_grpc.TeamsStub) -> float:
    """What a workload does in a second."""
    start = time.perf_counter()
    done = workload(stub)
    return done / (time.perf_counter() - start)


def latency(stub: teams_pb2_grpc.TeamsStub) -> float:
    """The median time of a blocking unary call, in seconds."""
    request = teams_pb2.TeamRequest(city="Boston")
    times = [time.perf_counter()]
    for _ in range(CALLS):
        stub.GetTeam(request, timeout=10)
        times.append(time.perf_counter())
    return statistics.median(after - before for before, after in pairwise(times))


def compare(
    measure: Callable[[teams_pb2_grpc.TeamsStub], float], channels: tuple[grpc.Channel, grpc.Channel], rounds: int
) -> tuple[float, float]:
    """The second channel's figure over the first one's, and the first one's: medians over the rounds."""
    stubs = [teams_pb2_grpc.TeamsStub(channel) for channel in channels]
    for stub in stubs:  # not counted: the first calls open connections and start threads
        measure(stub)
    pairs = []
    for number in range(rounds):
        # Whoever comes second may find the machine warmer: take turns.
        order = stubs if number % 2 else stubs[::-1]
        figures = {id(stub): measure(stub) for stub in order}
        pairs.append([figures[id(stub)] for stub in stubs])
    return statistics.median(second / first for first, second in pairs), statistics.median(first for first, _ in pairs)


def decoding(server: BackgroundServer, rounds: int) -> float:
    """How many frames a second are decoded, of small unary calls and streams."""
    with WireTap(server) as tap, grpc.insecure_channel(tap.address) as channel:
        stub = teams_pb2_grpc.TeamsStub(channel)
        for workload in WORKLOADS.values():
            workload(stub)
    recording = tap.recording
    return statistics.median(rate(lambda _: len(decode(recording).frames), stub) for _ in range(rounds))


def main() -> None:
    """Print ratios, BackgroundServer to a bare grpc.server and tapped to direct connections; then decoding's rate."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each is measured (default: %(default)s)")
    rounds = parser.parse_args().rounds
    teams = {f"City {number}": "Nickname" for number in range(TEAMS)} | {"Boston": "Revolutionaries"}
    bare = grpc.server(futures.ThreadPoolExecutor(max_workers=10), options=[("grpc.so_reuseport", 0)])
    teams_pb2_grpc.add_TeamsServicer_to_server(TeamsServicer(League(teams)), bare)
    port = bare.add_insecure_port("127.0.0.1:0")
    bare.start()
    with (
        BackgroundServer(TeamsServicer(League(teams))) as server,
        grpc.insecure_channel(f"127.0.0.1:{port}") as bare_channel,
        grpc.insecure_channel(server.address) as channel,
    ):
        for name, workload in WORKLOADS.items():
            ratio, plain = compare(partial(rate, workload), (bare_channel, channel), rounds)
            print(f"{name:16} BackgroundServer / bare server: {ratio:.2f}   (bare: {plain:,.0f}/s)", flush=True)
        with WireTap(server) as tap, grpc.insecure_channel(tap.address) as tapped:
            ratio, direct = compare(latency, (channel, tapped), rounds)
            print(f"{'unary p50':16} tap / direct: {ratio:.2f}   (direct: {direct * 1e6:,.0f} us)", flush=True)
            for name in ("response stream", "request stream"):
                ratio, plain = compare(partial(rate, WORKLOADS[name]), (channel, tapped), rounds)
                print(f"{name:16} tap / direct: {ratio:.2f}   (direct: {plain:,.0f}/s)", flush=True)
        print(f"{'decode':16} {decoding(server, rounds):,.0f} frames/s", flush=True)
    bare.stop(0)


if __name__ == "__main__":
    main()
