"""Wrong answers to the exercises of notebook 13."""

from teams_lib.exercises import find
from tests.wrong_answers import spoilt

INTERVAL = "grpc.http2.min_ping_interval_without_data_ms"

WRONG = {
    "13.1": [
        (
            "def is_up(address, seconds):\n"
            "    host, port = address.split(':')\n"
            "    try:\n"
            "        socket.create_connection((host, int(port)), timeout=seconds).close()\n"
            "    except OSError:\n"
            "        return False\n"
            "    return True",
            "a port that accepts and says nothing. Expected False, but got True",
        ),
        (
            "def is_up(address, seconds):\n    with grpc.insecure_channel(address) as channel:\n        return True",
            "a port where nobody listens. Expected False, but got True",
        ),
        (
            "def is_up(address, seconds):\n"
            "    with grpc.insecure_channel(address) as channel:\n"
            "        grpc.channel_ready_future(channel).result(timeout=seconds)\n"
            "        return True",
            "a port where nobody listens. Expected False, but it raised FutureTimeoutError",
        ),
        (
            spoilt(
                "13.1",
                (
                    "with grpc.insecure_channel(address) as channel:",
                    "channel = grpc.insecure_channel(address)\n    if channel:",
                ),
            ),
            "a channel is still open",
        ),
        (
            "def is_up(address, seconds):\n"
            "    with grpc.insecure_channel(address) as channel:\n"
            "        stub = teams_pb2_grpc.TeamsStub(channel)\n"
            "        try:\n"
            "            stub.GetTeam(teams_pb2.TeamRequest(), timeout=seconds)\n"
            "        except grpc.RpcError:\n"
            "            return False\n"
            "        return True",
            "the server has got a call",
        ),
        (
            spoilt("13.1", ("timeout=seconds", "timeout=1")),
            "The answer is right, and came too late",
        ),
    ],
    "13.2": [
        (
            find("13.2").stub.replace("addresses[0]", '",".join(addresses)'),
            "30, 0 and 0. I stopped the busiest, and another took over: it knows them, and doesn't take turns",
        ),
        (
            spoilt("13.2", ('",".join(addresses)', "addresses[0]")),
            "30, 0 and 0. I stopped the busiest and made another call: does the channel know the other two? One ended",
        ),
        (
            spoilt("13.2", ('",".join', '", ".join')),
            "One ended with UNKNOWN: Failed to create channel",
        ),
        (
            spoilt("13.2", ('"round_robin"', '"roundrobin"')),
            "One ended with INVALID_ARGUMENT",
        ),
        (
            "def spread(addresses):\n    return [grpc.insecure_channel(address) for address in addresses]",
            "Expected a channel, but got [<grpc",
        ),
        (
            "def spread(addresses):\n"
            "    with grpc.insecure_channel('ipv4:' + ','.join(addresses)) as channel:\n"
            "        return channel",
            "A stub got a channel that is closed. Did a `with` close it",
        ),
        (
            spoilt("13.2", ("return grpc", "return teams_pb2_grpc.TeamsStub(grpc"), ("=options)", "=options))")),
            "Expected a channel, but got <teams_lib.teams_pb2_grpc.TeamsStub",
        ),
    ],
    "13.3": [
        (
            spoilt("13.3", ("grpc.http2.ping_timeout_ms", "grpc.keepalive_timeout_ms")),
            "After half a second, and some more, the client waits on",
        ),
        (
            spoilt("13.3", (f'"{INTERVAL}", 50', f'"{INTERVAL}", 5_000')),
            "I sent a PING every 120 milliseconds while a call ran. The server hung up",
        ),
        (
            spoilt("13.3", (f'"{INTERVAL}", 50', '"grpc.http2.max_ping_strikes", 0')),
            "I sent ten PINGs without any pause while a call ran. The server bore it all",
        ),
        (
            spoilt("13.3", ('("grpc.http2.ping_timeout_ms", 200)', '"grpc.http2.ping_timeout_ms"')),
            "CLIENT should be a list of pairs of a name and a value. I found 'grpc.http2.ping_timeout_ms' in it",
        ),
        (
            spoilt("13.3", ("SERVER = [", "CLIENT, SERVER = CLIENT, dict(["), ("50),\n]", "50),\n])")),
            "I expected two lists of options, (CLIENT, SERVER), but got ([('grpc.keepalive_time_ms', 200)",
        ),
    ],
    "13.4": [
        (
            "def stubs_for(address, calls, lanes):\n"
            "    channels = [grpc.insecure_channel(address) for _ in range(calls)]\n"
            "    return [teams_pb2_grpc.TeamsStub(channel) for channel in channels]",
            "I called stubs_for(address, 5, 2), and made a call on each at once. The server had 2 at a time",
        ),
        (
            "def stubs_for(address, calls, lanes):\n"
            '    own = [("grpc.use_local_subchannel_pool", 1)]\n'
            "    channels = [grpc.insecure_channel(address, options=own) for _ in range(calls)]\n"
            "    return [teams_pb2_grpc.TeamsStub(channel) for channel in channels]",
            "The calls came over 5 connections, and 3 would do",
        ),
        (
            spoilt("13.4", ("range(0, calls, lanes)", "range(calls // lanes)")),
            "I called len(stubs_for(address, 5, 2)). Expected 5, but got 4",
        ),
        (
            spoilt("13.4", ("range(0, calls, lanes)", "range(calls // lanes + 1)"), ("[:calls]", "")),
            "I called len(stubs_for(address, 5, 2)). Expected 5, but got 6",
        ),
        (
            spoilt(
                "13.4",
                (
                    "channel = grpc.insecure_channel(address, options=own)",
                    "with grpc.insecure_channel(address, options=own) as channel:\n        ",
                ),
                ("stubs += [", "    stubs += ["),
            ),
            "The channel of a stub is closed: did a `with` close it?",
        ),
        (
            spoilt(
                "13.4",
                (
                    "channel = grpc.insecure_channel(address, options=own)",
                    "with grpc.insecure_channel(address, options=own) as channel:\n            pass",
                ),
            ),
            "A stub got a channel that is closed. Did a `with` close it",
        ),
        (
            spoilt("13.4", ("return stubs[:calls]", "return stubs[0]")),
            "Expected a list of stubs, but got <",
        ),
    ],
}
