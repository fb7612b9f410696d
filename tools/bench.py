"""BackgroundServer against a bare grpc.server: the same servicer, process and channel options, interleaved rounds.

    python -m tools.bench [--rounds 9]

Prints ratios of rates, the median over the rounds: 1.00 is as fast as the bare server. On a machine that does other
things too, only such ratios within one run mean anything.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent import futures

from teams_lib import BackgroundServer, League, TeamsServicer, teams_pb2, teams_pb2_grpc

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


def main() -> None:
    """Print BackgroundServer's rate over that of a bare grpc.server, for each kind of call."""
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
        stubs = [teams_pb2_grpc.TeamsStub(bare_channel), teams_pb2_grpc.TeamsStub(channel)]
        for name, workload in WORKLOADS.items():
            for stub in stubs:  # not counted: the first calls open connections and start threads
                workload(stub)
            pairs = []
            for number in range(rounds):
                # Whoever comes second may find the machine warmer: take turns.
                order = stubs if number % 2 else stubs[::-1]
                rates = {id(stub): rate(workload, stub) for stub in order}
                pairs.append([rates[id(stub)] for stub in stubs])
            ratio = statistics.median(background / plain for plain, background in pairs)
            plain = statistics.median(plain for plain, _ in pairs)
            print(f"{name:16} BackgroundServer / bare server: {ratio:.2f}   (bare: {plain:,.0f}/s)", flush=True)
    bare.stop(0)


if __name__ == "__main__":
    main()
