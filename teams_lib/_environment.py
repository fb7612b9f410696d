"""What gRPC's C core reads from the environment, once and early: why teams_lib is imported before grpc."""

import os


def prepare() -> None:
    """Keep gRPC quiet and loopback direct, whatever the machine's settings are.

    The C core logs to the process's stderr, with times and process ids, also what reaches the program as an exception
    anyway; in a notebook those lines would land in the output of whichever cell runs. And it sends even calls to
    127.0.0.1 through ``http_proxy`` if that is set (notebook 04 shows both the trap and the way out).

    Variables that the reader has set are kept: ``GRPC_VERBOSITY=DEBUG jupyter lab`` still logs.

    Source: https://github.com/grpc/grpc/blob/master/doc/environment_variables.md
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # no_grpc_proxy hides no_proxy from gRPC, so it starts from what was there.
    direct = os.environ.get("no_grpc_proxy", os.environ.get("no_proxy", ""))
    hosts = [host for host in direct.split(",") if host]
    os.environ["no_grpc_proxy"] = ",".join(hosts + [host for host in ("127.0.0.1", "localhost") if host not in hosts])
