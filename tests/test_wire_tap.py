"""WireTap: what passes is recorded and arrives unchanged, and nothing is left behind."""

import gc
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.server import NotRunningError
from teams_lib.wire import Recording, WireTap
from tests.wires import Wire, fill, receive, wire

import grpc
import pytest

BOSTON = teams_pb2.TeamRequest(city="Boston")
RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Echo:
    """Sends back what it gets: bytes, one or many, and the metadata."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()

    def one(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        pairs = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
        context.send_initial_metadata(pairs)
        context.set_trailing_metadata(pairs)
        return request

    def many(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from requests

    def never(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(self.over.set)
        self.begun.set()
        self.over.wait(30)
        return request


def add(echo: Echo, server: Any) -> None:
    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(echo.one),
        "Many": grpc.stream_stream_rpc_method_handler(echo.many),
        "Never": grpc.unary_unary_rpc_method_handler(echo.never),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", handlers),))


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def tap(echo: Echo) -> Iterator[WireTap]:
    with BackgroundServer(echo, add=add, name="echo", max_workers=60) as server, WireTap(server) as tap:
        yield tap


@pytest.fixture
def channel(tap: WireTap) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(tap.address) as channel:
        yield channel


def closed_tap() -> WireTap:
    """Closed before anything passed."""
    tap = WireTap("127.0.0.1:9")
    tap.close()
    return tap


def ends(recording: Recording) -> set[tuple[int, str, str]]:
    return {(chunk.connection, chunk.sender, chunk.end) for chunk in recording.chunks if chunk.end}


class TestForwarding:
    def test_metadata_arrives_unchanged_both_ways(self, channel: grpc.Channel) -> None:
        pairs = (("x-text", "a b"), ("x-bytes-bin", bytes(range(256))))
        answer, call = channel.unary_unary("/Echo/One").with_call(b"hello", timeout=10, metadata=pairs)
        assert answer == b"hello"
        assert [tuple(pair) for pair in call.initial_metadata()] == list(pairs)
        assert [tuple(pair) for pair in call.trailing_metadata()] == list(pairs)

    def test_three_megabytes_arrive_unchanged_both_ways(self, tap: WireTap, channel: grpc.Channel) -> None:
        message = bytes(range(251)) * 12_500
        assert channel.unary_unary("/Echo/One")(message, timeout=30) == message
        assert len(tap.recording.data(1, "client")) > len(message)
        assert len(tap.recording.data(1, "server")) > len(message)

    def test_fifty_calls_at_once_share_the_wire(self, channel: grpc.Channel) -> None:
        one = channel.unary_unary("/Echo/One")
        messages = [bytes([number]) * 10_000 for number in range(50)]
        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(lambda message: one(message, timeout=30), messages)) == messages

    def test_messages_of_a_stream_keep_their_order(self, channel: grpc.Channel) -> None:
        messages = [str(number).encode() for number in range(2_000)]
        assert list(channel.stream_stream("/Echo/Many")(iter(messages), timeout=30)) == messages

    def test_a_cancelled_call_is_cancelled_at_the_server_too(self, echo: Echo, channel: grpc.Channel) -> None:
        call = channel.unary_unary("/Echo/Never").future(b"", timeout=30)
        assert echo.begun.wait(10)
        call.cancel()
        assert echo.over.wait(10)

    def test_an_error_arrives_with_code_and_details(self) -> None:
        with (
            BackgroundServer(TeamsServicer()) as server,
            WireTap(server.address) as tap,
            grpc.insecure_channel(tap.address) as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            list(teams_pb2_grpc.TeamsStub(channel).ListTeams(teams_pb2.ListTeamsRequest(city_prefix="x" * 65)))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "65 characters" in caught.value.details()

    def test_a_sender_waits_while_the_receiver_reads_nothing(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                sent = fill(client)
                assert sent < 2**27  # what the tap and the system hold between the two
                assert len(receive(server, sent)) == sent

    def test_one_that_reads_nothing_holds_nobody_else_up(self) -> None:
        with wire() as line:
            slow, _unread = line.connect()
            with slow, _unread:
                fill(slow)
                client, server = line.connect()
                with client, server:
                    client.sendall(b"hello")
                    assert receive(server, 5) == b"hello"

    def test_a_server_known_by_name_is_found_on_either_address_of_the_name(self) -> None:
        with (
            BackgroundServer(TeamsServicer()) as server,
            WireTap(f"localhost:{server.address.split(':')[1]}") as tap,
            grpc.insecure_channel(tap.address) as channel,
        ):
            assert teams_pb2_grpc.TeamsStub(channel).GetTeam(BOSTON, timeout=10).nickname == "Revolutionaries"

    def test_a_server_on_ipv6_is_tapped(self) -> None:
        try:
            listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("this machine has no IPv6")
        with listener, WireTap(f"[::1]:{listener.getsockname()[1]}") as tap:
            client, server = Wire(tap, listener).connect()
            with client, server:
                client.sendall(b"hello")
                assert receive(server, 5) == b"hello"


class TestRecording:
    def test_what_arrived_is_recorded_already(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                for number in range(200):
                    client.sendall(b"ping")
                    receive(server, 4)
                    assert line.tap.recording.data(1, "client") == b"ping" * (number + 1)

    def test_each_connection_and_direction_is_recorded_by_itself(self) -> None:
        with wire() as line:
            for number in (1, 2, 3):
                client, server = line.connect()
                with client, server:
                    client.sendall(b"question %d" % number)
                    receive(server, 10)
                    server.sendall(b"answer %d" % number)
                    receive(client, 8)
            recording = line.tap.recording
        assert recording.connections == (1, 2, 3)
        assert [recording.data(number, "client") for number in (1, 2, 3)] == [
            b"question 1",
            b"question 2",
            b"question 3",
        ]
        assert [recording.data(number, "server") for number in (1, 2, 3)] == [b"answer 1", b"answer 2", b"answer 3"]

    def test_times_never_go_back(self, tap: WireTap, channel: grpc.Channel) -> None:
        channel.unary_unary("/Echo/One")(b"hello", timeout=10)
        times = [chunk.at for chunk in tap.recording.chunks]
        assert times == sorted(times)

    def test_it_is_a_snapshot(self) -> None:
        with wire() as line:
            client, server = line.connect()
            before = line.tap.recording
            with client, server:
                client.sendall(b"hello")
                receive(server, 5)
            assert before == Recording()

    def test_it_remains_when_the_tap_is_closed(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello")
                receive(server, 5)
        assert line.tap.recording.data(1, "client") == b"hello"
        assert ends(line.tap.recording) == {(1, "client", "closed"), (1, "server", "closed")}

    def test_beyond_the_limit_bytes_pass_but_are_not_recorded_and_the_tap_says_so(self) -> None:
        with wire(limit=10_000) as line:
            client, server = line.connect()
            with client, server:
                assert not line.tap.full
                for letter in b"abc":
                    client.sendall(bytes([letter]) * 4_000)
                    assert receive(server, 4_000) == bytes([letter]) * 4_000
                assert line.tap.full
                assert repr(line.tap).endswith(", full>")
                recorded = line.tap.recording.data(1, "client")
                assert (b"a" * 4_000 + b"b" * 4_000 + b"c" * 4_000).startswith(recorded)
                assert len(recorded) <= 10_000


class TestEnds:
    def test_a_half_close_is_passed_on_and_the_other_way_stays_open(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert receive(server) == b"question"
                assert ends(line.tap.recording) == {(1, "client", "closed")}
                server.sendall(b"answer")
                server.close()
                assert receive(client) == b"answer"
                assert ends(line.tap.recording) == {(1, "client", "closed"), (1, "server", "closed")}

    @pytest.mark.parametrize("sender", ["client", "server"])
    def test_a_reset_is_passed_on_as_a_reset(self, sender: str) -> None:
        with wire() as line:
            client, server = line.connect()
            broken, other = (client, server) if sender == "client" else (server, client)
            with client, server:
                broken.sendall(b"hello")
                assert receive(other, 5) == b"hello"
                broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                broken.close()
                with pytest.raises(ConnectionResetError):
                    other.recv(1)
                assert ends(line.tap.recording) == {(1, sender, "reset")}

    def test_a_reset_after_a_half_close_is_passed_on_too(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                server.shutdown(socket.SHUT_WR)
                assert receive(client) == b""
                server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                server.close()
                with pytest.raises(ConnectionError):  # which one depends on the system
                    fill(client)

    def test_a_server_that_is_gone_resets_the_client_and_the_tap_goes_on(self) -> None:
        with BackgroundServer(TeamsServicer(), name="comes and goes") as server, WireTap(server) as tap:
            server.stop()
            with grpc.insecure_channel(tap.address) as channel, pytest.raises(grpc.RpcError) as caught:
                teams_pb2_grpc.TeamsStub(channel).GetTeam(BOSTON, timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            assert (1, "server", "reset") in ends(tap.recording)
            server.start()
            with grpc.insecure_channel(tap.address) as channel:
                assert teams_pb2_grpc.TeamsStub(channel).GetTeam(BOSTON, timeout=10).nickname == "Revolutionaries"


class TestWaiting:
    def test_it_gives_the_conversation_for_which_the_condition_holds(self, tap: WireTap, channel: grpc.Channel) -> None:
        channel.unary_unary("/Echo/One")(b"hello", timeout=10)
        talk = tap.wait_for(lambda talk: talk.calls[0].status is grpc.StatusCode.OK)
        assert talk.calls[0].method == "/Echo/One"

    def test_it_waits_for_what_is_still_to_come(self, tap: WireTap) -> None:
        with ThreadPoolExecutor(1) as pool:
            asked = threading.Event()

            def answered(talk: Any) -> bool:
                asked.set()
                return talk.calls[0].status is grpc.StatusCode.OK  # there is no call yet

            waiting = pool.submit(tap.wait_for, answered, 10)
            assert asked.wait(10)
            with grpc.insecure_channel(tap.address) as channel:
                channel.unary_unary("/Echo/One")(b"hello", timeout=10)
                assert len(waiting.result(10).calls) == 1

    def test_time_up_tells_what_was_there(self, tap: WireTap, channel: grpc.Channel) -> None:
        channel.unary_unary("/Echo/One")(b"hello", timeout=10)
        with pytest.raises(TimeoutError, match=r"not so after 0\.01 s.*1 connections") as caught:
            tap.wait_for(lambda talk: False, timeout=0.01)
        assert "/Echo/One" in str(caught.value)

    def test_a_closed_tap_is_not_waited_for(self) -> None:
        tap = closed_tap()
        with pytest.raises(TimeoutError, match="nothing more comes: the tap is closed"):
            tap.wait_for(lambda talk: talk.calls[0], timeout=60)

    def test_closing_the_tap_ends_the_wait(self) -> None:
        tap = WireTap("127.0.0.1:9")
        asked = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(tap.wait_for, lambda talk: asked.set(), 60)
            assert asked.wait(10)
            tap.close()
            with pytest.raises(TimeoutError, match="the tap is closed"):
                waiting.result(10)


class TestClosing:
    def test_a_call_that_runs_ends_unavailable(self, echo: Echo, tap: WireTap, channel: grpc.Channel) -> None:
        call = channel.unary_unary("/Echo/Never").future(b"", timeout=30)
        assert echo.begun.wait(10)
        tap.close()
        assert call.exception(10).code() == grpc.StatusCode.UNAVAILABLE
        assert echo.over.wait(10)  # the server knows, too

    def test_closing_twice_does_nothing(self) -> None:
        tap = closed_tap()
        tap.close()
        assert repr(tap) == "<WireTap: closed, Recording(0 connections, 0 bytes)>"

    def test_a_closed_tap_still_decodes(self) -> None:
        assert closed_tap().decode().calls == ()

    @pytest.mark.parametrize(
        "use",
        [lambda tap: tap.address, lambda tap: tap.inject(), lambda tap: tap.heal(), lambda tap: tap.__enter__()],
        ids=["address", "inject", "heal", "with"],
    )
    def test_a_closed_tap_names_the_way_out(self, use: Any) -> None:
        with pytest.raises(RuntimeError, match=r"This tap is closed\. Make a new one: WireTap\(server\)"):
            use(closed_tap())

    @pytest.mark.parametrize("in_flight", [False, True], ids=["idle", "with a connection in use"])
    def test_two_hundred_taps_leave_no_thread_and_no_file_descriptor(self, in_flight: bool) -> None:
        descriptors = Path("/proc/self/fd")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "{}:{}".format(*listener.getsockname())

            def cycle() -> None:
                with ExitStack() as stack, WireTap(address) as tap:
                    if in_flight:
                        client, server = map(stack.enter_context, Wire(tap, listener).connect())
                        client.sendall(b"hello")
                        receive(server, 5)

            cycle()
            threads = threading.active_count()
            files = len(list(descriptors.iterdir())) if descriptors.exists() else 0
            for _ in range(200):
                cycle()
            assert threading.active_count() <= threads
            if descriptors.exists():
                assert len(list(descriptors.iterdir())) <= files

    def test_connections_that_are_over_leave_no_file_descriptor_in_an_open_tap(self) -> None:
        with wire() as line:
            for _ in range(100):
                client, server = line.connect()
                client.close()
                assert receive(server) == b""
                server.close()
            line.tap.wait_for(lambda talk: len(ends(line.tap.recording)) == 200)
            line.tap.heal()  # comes back when the thread is done with the last connection
            assert not line.tap._relay._sides

    def test_a_tap_that_nobody_has_any_more_ends_its_thread(self) -> None:
        tap = WireTap("127.0.0.1:9")
        thread = tap._relay._thread
        del tap
        gc.collect()
        thread.join(10)
        assert not thread.is_alive()

    def test_an_open_tap_does_not_keep_the_interpreter_from_exiting(self) -> None:
        program = """
from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.wire import WireTap
import grpc
tap = WireTap(BackgroundServer(TeamsServicer()).start())
channel = grpc.insecure_channel(tap.address)
follow = teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=10)
print(follow.nickname)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=30, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "Revolutionaries\n", "")


class TestServersThatCannotBeTapped:
    def test_a_server_that_is_not_running(self) -> None:
        with pytest.raises(NotRunningError, match=r"not started.*\.start\(\)"):
            WireTap(BackgroundServer(TeamsServicer()))

    @pytest.mark.parametrize(
        "address", ["", "127.0.0.1", ":50051", "host:", "host:port", "127.0.0.1:65536", "::1:50051", "unix:/a.sock"]
    )
    def test_what_is_no_address(self, address: str) -> None:
        with pytest.raises(ValueError, match=r'is not an address to tap.*"host:port"'):
            WireTap(address)

    def test_a_host_that_is_not_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # What a name server says, without asking one.
        unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=unknown))
        with pytest.raises(ValueError, match="is not known here"):
            WireTap("nowhere.invalid:50051")
