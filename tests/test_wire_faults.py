"""Faults: each does what its name says, to exactly the bytes it is meant for."""

import socket
import time
from typing import Any

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.wire import Bandwidth, BlackHole, CutAfter, Delay, Fault, ResetAfter, WireTap
from tests.wires import fill, receive, wire

import grpc
import pytest

BOSTON = teams_pb2.TeamRequest(city="Boston")
DATA = bytes(range(256)) * 40


def status_of_a_call(*faults: Fault, timeout: float = 10) -> grpc.StatusCode:
    with (
        BackgroundServer(TeamsServicer()) as server,
        WireTap(server, *faults) as tap,
        grpc.insecure_channel(tap.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        teams_pb2_grpc.TeamsStub(channel).GetTeam(BOSTON, timeout=timeout)
    code: grpc.StatusCode = caught.value.code()
    return code


def arrives_nothing(sock: socket.socket) -> bool:
    """Whether nothing comes for a moment; the tap forwards what it may within microseconds."""
    sock.settimeout(0.05)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)
    return False


class TestDelay:
    def test_a_round_trip_takes_the_delay_of_both_ways(self) -> None:
        with wire(Delay(0.03)) as line:
            client, server = line.connect()
            with client, server:
                start = time.perf_counter()
                client.sendall(b"ping")
                assert receive(server, 4) == b"ping"
                server.sendall(b"pong")
                assert receive(client, 4) == b"pong"
                assert time.perf_counter() - start >= 0.06

    def test_it_is_recorded_when_it_came_not_when_it_went_on(self) -> None:
        with wire(Delay(0.1, "client")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"ping")
                receive(server, 4)
                assert time.perf_counter() - line.tap.recording.chunks[0].at >= 0.1

    def test_the_other_way_is_not_delayed(self) -> None:
        with wire(Delay(60, "client")) as line:
            client, server = line.connect()
            with client, server:
                server.sendall(b"pong")
                assert receive(client, 4) == b"pong"

    def test_the_end_is_delayed_too_and_comes_last(self) -> None:
        with wire(Delay(0.05)) as line:
            client, server = line.connect()
            with client, server:
                start = time.perf_counter()
                client.sendall(DATA)
                client.close()
                assert receive(server) == DATA
                assert time.perf_counter() - start >= 0.05

    def test_delays_sum(self) -> None:
        with wire(Delay(0.02), Delay(0.03, "client")) as line:
            client, server = line.connect()
            with client, server:
                start = time.perf_counter()
                client.sendall(b"ping")
                receive(server, 4)
                assert time.perf_counter() - start >= 0.05

    def test_healing_lets_out_what_is_held_back_in_its_order(self) -> None:
        with wire(Delay(60)) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(DATA)
                line.tap.wait_for(lambda talk: line.tap.recording.data(1, "client") == DATA)
                line.tap.heal()
                client.sendall(b"more")
                assert receive(server, len(DATA) + 4) == DATA + b"more"

    def test_a_call_takes_longer_than_a_round_trip(self) -> None:
        with (
            BackgroundServer(TeamsServicer()) as server,
            WireTap(server) as tap,
            grpc.insecure_channel(tap.address) as channel,
        ):
            stub = teams_pb2_grpc.TeamsStub(channel)
            stub.GetTeam(BOSTON, timeout=10)
            tap.inject(Delay(0.05))
            start = time.perf_counter()
            assert stub.GetTeam(BOSTON, timeout=10).nickname == "Revolutionaries"
            assert time.perf_counter() - start >= 0.1

    def test_a_delay_beyond_the_deadline_fails_the_call(self) -> None:
        assert status_of_a_call(Delay(60, "server"), timeout=0.3) is grpc.StatusCode.DEADLINE_EXCEEDED


class TestBandwidth:
    @pytest.mark.parametrize("rate", [50_000, 500_000.5])
    def test_bytes_take_their_time(self, rate: float) -> None:
        with wire(Bandwidth(rate)) as line:
            client, server = line.connect()
            with client, server:
                start = time.perf_counter()
                client.sendall(DATA)
                assert receive(server, len(DATA)) == DATA
                assert time.perf_counter() - start >= len(DATA) / rate

    def test_the_first_bytes_arrive_long_before_the_last(self) -> None:
        with wire(Bandwidth(1_000)) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(DATA)  # these take 10 seconds
                assert server.recv(1) == DATA[:1]
                line.tap.heal()
                assert receive(server, len(DATA) - 1) == DATA[1:]

    def test_each_way_has_its_own(self) -> None:
        with wire(Bandwidth(1, "client")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(DATA)
                server.sendall(DATA)
                assert receive(client, len(DATA)) == DATA

    def test_one_byte_a_second_is_not_rounded_to_none(self) -> None:
        with wire(Bandwidth(20)) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"ab")
                assert receive(server, 2) == b"ab"


class TestCutAfter:
    @pytest.mark.parametrize("size", [1, 1_000, len(DATA) - 1, len(DATA)])
    @pytest.mark.parametrize("chunk", [len(DATA), 7])
    def test_exactly_so_many_bytes_arrive_then_both_sides_see_the_end(self, size: int, chunk: int) -> None:
        with wire(CutAfter(size, "server")) as line:
            client, server = line.connect()
            with client, server:
                for start in range(0, len(DATA), chunk):
                    server.sendall(DATA[start : start + chunk])
                assert receive(client) == DATA[:size]
                assert receive(server) == b""
                assert line.tap.recording.data(1, "server") == DATA[:size]
                assert {(chunk.sender, chunk.end) for chunk in line.tap.recording.chunks if chunk.end} == {
                    ("client", "closed"),
                    ("server", "closed"),
                }

    def test_what_the_other_way_carries_does_not_count(self) -> None:
        with wire(CutAfter(4, "server")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(DATA)
                assert receive(server, len(DATA)) == DATA

    def test_what_is_sent_after_the_cut_is_thrown_away_and_not_recorded(self) -> None:
        with wire(CutAfter(4, "server")) as line:
            client, server = line.connect()
            with client, server:
                server.sendall(b"pong")
                assert receive(client) == b"pong"
                client.sendall(DATA)
                client.close()
                assert receive(server) == b""
                assert line.tap.recording.data(1, "client") == b""

    def test_of_several_sizes_the_first_one_reached_cuts(self) -> None:
        with wire(CutAfter(1_000), ResetAfter(2_000), CutAfter(500)) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(DATA)
                assert receive(server) == DATA[:500]

    def test_each_connection_is_counted_by_itself(self) -> None:
        with wire(CutAfter(5)) as line:
            for _ in range(3):
                client, server = line.connect()
                with client, server:
                    client.sendall(b"hello, world")
                    assert receive(server) == b"hello"

    def test_a_later_cut_counts_from_then_on(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello")
                assert receive(server, 5) == b"hello"
                line.tap.inject(CutAfter(2))
                client.sendall(b", world")
                assert receive(server) == b", "

    def test_size_nought_cuts_open_connections_at_once_and_new_ones_too(self) -> None:
        with wire() as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello")
                receive(server, 5)
                line.tap.inject(CutAfter(0))
                assert (receive(client), receive(server)) == (b"", b"")
            client, server = line.connect()
            with client, server:
                assert (receive(client), receive(server)) == (b"", b"")

    def test_it_comes_behind_the_delay(self) -> None:
        with wire(Delay(0.05), CutAfter(5)) as line:
            client, server = line.connect()
            with client, server:
                start = time.perf_counter()
                client.sendall(b"hello, world")
                assert receive(server) == b"hello"
                assert time.perf_counter() - start >= 0.05

    def test_a_call_that_is_cut_is_unavailable(self) -> None:
        assert status_of_a_call(CutAfter(60, "server")) is grpc.StatusCode.UNAVAILABLE


class TestResetAfter:
    def test_both_sides_see_a_reset(self) -> None:
        with wire(ResetAfter(5, "client")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello, world")
                for sock in (client, server):
                    with pytest.raises(ConnectionResetError):
                        receive(sock)
                assert line.tap.recording.data(1, "client") == b"hello"
                assert {(chunk.sender, chunk.end) for chunk in line.tap.recording.chunks if chunk.end} == {
                    ("client", "reset"),
                    ("server", "reset"),
                }

    def test_fewer_bytes_pass_unharmed(self) -> None:
        with wire(ResetAfter(6, "client")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello")
                client.close()
                assert receive(server) == b"hello"

    def test_a_call_that_is_reset_is_unavailable(self) -> None:
        assert status_of_a_call(ResetAfter(60, "server")) is grpc.StatusCode.UNAVAILABLE


class TestBlackHole:
    def test_nothing_arrives_but_it_is_recorded(self) -> None:
        with wire(BlackHole()) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello")
                line.tap.wait_for(lambda talk: line.tap.recording.data(1, "client") == b"hello")
                assert arrives_nothing(server)

    def test_exactly_so_many_bytes_arrive_before(self) -> None:
        with wire(BlackHole(5, "client")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello, world")
                assert receive(server, 5) == b"hello"
                assert arrives_nothing(server)

    def test_the_other_way_goes_on(self) -> None:
        with wire(BlackHole(0, "client")) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"ping")
                server.sendall(b"pong")
                assert receive(client, 4) == b"pong"

    def test_the_end_does_not_arrive_either(self) -> None:
        with wire(BlackHole()) as line:
            client, server = line.connect()
            with server:
                client.close()
                line.tap.wait_for(lambda talk: any(chunk.end for chunk in line.tap.recording.chunks))
                assert arrives_nothing(server)

    def test_healed_what_was_sent_meanwhile_arrives_late_and_complete(self) -> None:
        with wire(BlackHole(5)) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello, world")
                client.close()
                assert receive(server, 5) == b"hello"
                line.tap.heal()
                assert receive(server) == b", world"

    def test_it_holds_a_bounded_amount_then_the_sender_waits(self) -> None:
        with wire(BlackHole()) as line:
            client, server = line.connect()
            with client, server:
                sent = fill(client)
                assert len(line.tap.recording.data(1, "client")) < 2**21
                line.tap.heal()
                assert len(receive(server, sent)) == sent

    def test_a_call_ends_by_its_own_deadline(self) -> None:
        with (
            BackgroundServer(TeamsServicer()) as server,
            WireTap(server) as tap,
            grpc.insecure_channel(tap.address) as channel,
        ):
            stub = teams_pb2_grpc.TeamsStub(channel)
            stub.GetTeam(BOSTON, timeout=10)
            tap.inject(BlackHole())
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetTeam(BOSTON, timeout=0.2)
            assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            tap.heal()
            assert stub.GetTeam(BOSTON, timeout=10).nickname == "Revolutionaries"


class TestInjecting:
    def test_it_takes_the_place_of_the_faults_before(self) -> None:
        with wire(Delay(60)) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello")
                line.tap.wait_for(lambda talk: line.tap.recording.data(1, "client") == b"hello")
                line.tap.inject(Bandwidth(1_000_000))
                assert receive(server, 5) == b"hello"

    def test_bytes_that_are_held_already_count(self) -> None:
        with wire(BlackHole()) as line:
            client, server = line.connect()
            with client, server:
                client.sendall(b"hello, world")
                line.tap.wait_for(lambda talk: line.tap.recording.data(1, "client") == b"hello, world")
                line.tap.inject(CutAfter(5))
                assert receive(server) == b"hello"

    def test_closing_a_tap_with_faults_hangs_nobody(self) -> None:
        with wire(Delay(60), BlackHole(3)) as line:
            client, server = line.connect()
            client.sendall(DATA)
        with client, server:
            assert receive(server) == b""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Delay(-1), "Delay: seconds is -1, and must be 0 or more"),
        (lambda: Delay(float("inf")), "Delay: seconds is inf"),
        (lambda: Delay(float("nan")), "Delay: seconds is nan"),
        (lambda: Bandwidth(0), "Bandwidth: bytes_per_second is 0, and must be above 0"),
        (lambda: Bandwidth(float("nan")), "Bandwidth: bytes_per_second is nan"),
        (lambda: CutAfter(-1), "CutAfter: size is -1, and must be 0 or more"),
        (lambda: ResetAfter(-1), "ResetAfter: size is -1"),
        (lambda: BlackHole(-1), "BlackHole: after is -1"),
        (lambda: Delay(1, "both"), 'Delay: sender is \'both\', and must be "client", "server" or None'),  # type: ignore[arg-type]
    ],
)
def test_a_fault_that_cannot_be_says_why(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
