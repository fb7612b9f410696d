"""The program `python -m teams_lib.client`: asks a Teams server for the teams of some cities."""

import argparse
import sys
from collections.abc import Sequence

from teams_lib import teams_pb2, teams_pb2_grpc

import grpc


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask a running Teams server which team plays for each city."""
    parser = argparse.ArgumentParser(prog="python -m teams_lib.client", description=main.__doc__)
    parser.add_argument("cities", nargs="+", metavar="CITY", help="the name of a city, such as Chicago or 'New York'")
    parser.add_argument("--target", default="127.0.0.1:50051", help="the server's host:port (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for each call (default: %(default)s)")
    args = parser.parse_args(arguments)
    with grpc.insecure_channel(args.target) as channel:
        stub = teams_pb2_grpc.TeamsStub(channel)
        for city in args.cities:
            try:
                team = stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=args.timeout)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    sys.exit(
                        f"No Teams server answers at {args.target}. Start one: python -m teams_lib.server\n"
                        "If it listens elsewhere, say where: --target 127.0.0.1:PORT"
                    )
                sys.exit(f"The call failed: {error.code().name}: {error.details()}")
            print(f"Teams client received: {team.city} {team.nickname}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
