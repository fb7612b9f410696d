"""Connect and stay connected."""

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, Final
from unittest import mock

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import (
    NotYet,
    called,
    clean_up,
    connect,
    exercise,
    expect_equal,
    is_open,
    refuse_closed_channels,
    serve,
)
from teams_lib.wire import BlackHole, WireTap

import grpc
from h2.connection import H2Connection

PATIENCE: Final = 0.7  # seconds that a check waits for what a right answer does much sooner
CHICAGO: Final = teams_pb2.TeamRequest(city="Chicago")


def _record_channels() -> list[grpc.Channel]:
    """Keep every channel that is made from now on, and its calls away from any proxy."""
    genuine, made = grpc.insecure_channel, []

    def insecure_channel(target: str, options: Sequence[Any] | None = None, **others: Any) -> grpc.Channel:
        # no_proxy does not cover a target with several addresses, and the machine may have a proxy.
        made.append(genuine(target, [*(options or ()), ("grpc.enable_http_proxy", 0)], **others))
        return made[-1]

    replaced = mock.patch.object(grpc, "insecure_channel", insecure_channel)
    replaced.start()
    clean_up(replaced.stop)
    return made


@exercise(
    "13.1",
    title="Is anybody there?",
    stub='''
    def is_up(address, seconds):
        """Return whether a gRPC server can be reached there."""
        ...
    ''',
    solution='''
    def is_up(address, seconds):
        """Return whether a gRPC server can be reached there."""
        with grpc.insecure_channel(address) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=seconds)
            except grpc.FutureTimeoutError:
                return False
            return True
    ''',
    why="A channel is READY only when the other side has spoken HTTP/2, and no call is needed for that.",
    hints=(
        "Which state of a channel says that a server has answered? An accepted connection alone is not enough.",
        "`grpc.channel_ready_future(channel).result(timeout=seconds)` waits for READY without a call.",
        "When the time is over, it raises `grpc.FutureTimeoutError`. And a `with` closes the channel on every way out.",
    ),
)
def _(answer: Any) -> None:
    server = serve(TeamsServicer())
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))
    mute = socket.create_server(("127.0.0.1", 0))
    channels = _record_channels()
    refuse_closed_channels()
    for door in (nobody, mute):
        clean_up(door.close)
    cases = (
        ("a server that is up", server.address, 1.0, True),
        ("a port where nobody listens", f"127.0.0.1:{nobody.getsockname()[1]}", 0.1, False),
        ("a port that accepts and says nothing", f"127.0.0.1:{mute.getsockname()[1]}", 0.1, False),
    )
    for where, address, seconds, expected in cases:
        call = f"is_up(address, {seconds:g}) with the address of {where}"
        begin = time.monotonic()
        try:
            got = called(answer, address, seconds)
        except (grpc.FutureTimeoutError, grpc.RpcError, OSError) as error:
            raise NotYet(f"I called {call}. Expected {expected}, but it raised {type(error).__name__}.") from None
        expect_equal(call=call, expected=expected, got=got)
        if time.monotonic() - begin > seconds + PATIENCE:
            raise NotYet(f"I called {call}. The answer is right, and came too late.")
    if server.calls:
        raise NotYet("The answers are right, but the server has got a call: it may not have that method.")
    if any(map(is_open, channels)):
        raise NotYet("The answers are right, but a channel is still open.")


@exercise(
    "13.2",
    title="Mend: two of three servers are bored",
    stub="""
    def spread(addresses):
        options = [("grpc.load_balancing_policy", "round_robin")]
        return grpc.insecure_channel("ipv4:" + addresses[0], options=options)
    """,
    solution="""
    def spread(addresses):
        config = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
        options = [("grpc.service_config", config)]
        return grpc.insecure_channel("ipv4:" + ",".join(addresses), options=options)
    """,
    why="The target gives all addresses, and the policy takes turns; gRPC ignored the option that it doesn't know.",
    hints=(
        "How many addresses does the channel know?",
        "Is there an option of that name? `known(name)` of this notebook can tell.",
        "Which channel of this notebook took turns, and by which option was it told to?",
    ),
)
def _(answer: Any) -> None:
    servers = [serve(TeamsServicer()) for _ in range(3)]
    _record_channels()
    refuse_closed_channels()
    channel = called(answer, [server.address for server in servers])
    if not isinstance(channel, grpc.Channel):
        raise NotYet(f"I called spread with three addresses. Expected a channel, but got {channel!r}.")
    clean_up(channel.close)
    stub = teams_pb2_grpc.TeamsStub(channel)

    def calls_of(count: int, what: str) -> list[int]:
        """Make so many calls, and count who got them."""
        before = [len(server.calls) for server in servers]
        for _ in range(count):
            try:
                stub.GetTeam(CHICAGO, timeout=2)
            except grpc.RpcError as error:
                raise NotYet(f"{what} One ended with {error.code().name}: {error.details()}") from None
        return [len(server.calls) - n for server, n in zip(servers, before, strict=True)]

    what = "I made calls over the channel."
    until = time.monotonic() + PATIENCE
    while 0 in (got := calls_of(6, what)) and time.monotonic() < until:
        pass  # round_robin begins with the first server that it reaches
    got = calls_of(30, what)
    if max(got) - min(got) > 2:
        shares = f"I made thirty calls over the channel. The three servers got {got[0]}, {got[1]} and {got[2]}."
        servers[got.index(max(got))].stop()
        calls_of(1, f"{shares} I stopped the busiest and made another call: does the channel know the other two?")
        raise NotYet(f"{shares} I stopped the busiest, and another took over: it knows them, and doesn't take turns.")
    servers[0].stop()
    calls_of(12, "I stopped one of the three servers, and made twelve calls.")


def _options_of(answer: Any) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    match answer:
        case ([*_], [*_]):
            client, server = answer
        case _:
            raise NotYet(f"I expected two lists of options, (CLIENT, SERVER), but got {answer!r}.")
    for which, options in (("CLIENT", client), ("SERVER", server)):
        for option in options:
            match option:
                case (str(), int() | str()):
                    continue
            raise NotYet(f"{which} should be a list of pairs of a name and a value. I found {option!r} in it.")
    return client, server


def _hangs_up(server: BackgroundServer, bursts: int, pings: int, pause: float) -> bool:
    """Open a call by hand, send bursts of PINGs with a pause after each, and see whether the server hangs up.

    The client of gRPC sends one PING a second at most, which would take too long.
    """
    host, port = server.address.split(":")
    client = H2Connection()
    client.initiate_connection()
    headers = {":method": "POST", ":scheme": "http", ":authority": host, ":path": "/Teams/ReportGames"}
    client.send_headers(1, [*headers.items(), ("te", "trailers"), ("content-type", "application/grpc")])
    heard = b""
    with closing(socket.create_connection((host, int(port)), timeout=2)) as line:
        for _ in range(bursts):
            for _ in range(pings):
                client.ping(b"exercise")
            line.sendall(client.data_to_send())
            until = time.monotonic() + pause
            while (left := until - time.monotonic()) > 0:
                line.settimeout(left)
                with suppress(TimeoutError):
                    heard += line.recv(65536)
                if b"too_many_pings" in heard:
                    return True
    return False


@exercise(
    "13.3",
    title="Mend: a keepalive that agrees with itself",
    stub="""
    CLIENT = [
        ("grpc.keepalive_time_ms", 200),
        ("grpc.keepalive_timeout_ms", 200),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    SERVER = [
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ]
    """,
    solution="""
    CLIENT = [
        ("grpc.keepalive_time_ms", 200),
        ("grpc.http2.ping_timeout_ms", 200),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    SERVER = [
        ("grpc.http2.min_ping_interval_without_data_ms", 50),
    ]
    """,
    why="Both names are ones that gRPC reads and uses, and the server's interval is below what its clients do.",
    hints=(
        "Of the four names, one is not known to gRPC, and one is known and not used.",
        "What did the option do that tells a client how long to wait? And what came of the name with `recv`?",
        "The table after the picture of the PINGs has both right names. Then choose values: 5,000 is more than 100.",
    ),
    answer="(CLIENT, SERVER)",
)
def _(answer: Any) -> None:
    client, options = _options_of(answer)
    server = serve(TeamsServicer(), options=options)
    tap = WireTap(server)
    clean_up(tap.close)
    # A connection that has carried no call yet: nothing but keepalive has sent a PING.
    channel = connect(tap.address, options=client)
    grpc.channel_ready_future(channel).result(timeout=2)
    tap.inject(BlackHole())
    with ThreadPoolExecutor(2) as pool:
        polite = pool.submit(_hangs_up, server, bursts=7, pings=1, pause=0.12)
        storm = pool.submit(_hangs_up, server, bursts=1, pings=10, pause=PATIENCE)
        try:
            teams_pb2_grpc.TeamsStub(channel).GetTeam(CHICAGO, timeout=0.3 + PATIENCE)
        except grpc.RpcError as error:
            code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise NotYet(
            "The other end fell silent during a call. After half a second, and some more, the client waits on."
        )
    if polite.result():
        raise NotYet("I sent a PING every 120 milliseconds while a call ran. The server hung up.")
    if not storm.result():
        raise NotYet("I sent ten PINGs without any pause while a call ran. The server bore it all.")


class _Together(TeamsServicer):
    """Keeps each call back until all are here, a moment at most."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._calls = calls
        self.peers: list[str] = []

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        with self._changed:
            self.peers.append(context.peer())
            self._changed.notify_all()
            self._wait(1.5 * PATIENCE)
        return super().GetTeam(request, context)

    def all_here(self) -> bool:
        """Wait for the calls, less long than they wait for each other."""
        with self._changed:
            return self._wait(PATIENCE)

    def _wait(self, seconds: float) -> bool:
        return self._changed.wait_for(lambda: len(self.peers) >= self._calls, seconds)


@exercise(
    "13.4",
    title="Open more lanes",
    stub="""
    def stubs_for(address, calls, lanes):
        channel = grpc.insecure_channel(address)
        return [teams_pb2_grpc.TeamsStub(channel) for _ in range(calls)]
    """,
    solution="""
    def stubs_for(address, calls, lanes):
        own = [("grpc.use_local_subchannel_pool", 1)]
        stubs = []
        for _ in range(0, calls, lanes):
            channel = grpc.insecure_channel(address, options=own)
            stubs += [teams_pb2_grpc.TeamsStub(channel)] * lanes
        return stubs[:calls]
    """,
    why="Each connection has so many lanes, and only a subchannel of its own gives a channel its own connection.",
    hints=(
        "How many connections do two channels with the same target and options open?",
        "`grpc.use_local_subchannel_pool` gives a channel subchannels, and so a connection, of its own.",
        "One channel for each group of `lanes` calls: `range(0, calls, lanes)` counts them, also if the last is small.",
    ),
)
def _(answer: Any) -> None:
    refuse_closed_channels()
    for calls, lanes in ((5, 2), (4, 4)):
        what = f"stubs_for(address, {calls}, {lanes})"
        servicer = _Together(calls)
        server = serve(servicer, options=[("grpc.max_concurrent_streams", lanes)])
        stubs = called(answer, server.address, calls, lanes)
        if not isinstance(stubs, Sequence) or not all(hasattr(getattr(stub, "GetTeam", 0), "future") for stub in stubs):
            raise NotYet(f"I called {what}. Expected a list of stubs, but got {stubs!r}.")
        expect_equal(call=f"len({what})", expected=calls, got=len(stubs))
        try:
            running = [stub.GetTeam.future(CHICAGO, timeout=3 * PATIENCE) for stub in stubs]
        except ValueError:  # "Cannot invoke RPC: Channel closed!"
            raise NotYet(f"I called {what}. The channel of a stub is closed: did a `with` close it?") from None
        together = servicer.all_here()
        if not together:
            at_a_time = len(servicer.peers)
            for call in running:
                call.cancel()
            raise NotYet(f"I called {what}, and made a call on each at once. The server had {at_a_time} at a time.")
        connections, enough = len(set(servicer.peers)), -(-calls // lanes)
        if connections > enough:
            raise NotYet(f"I called {what}. The calls came over {connections} connections, and {enough} would do.")
