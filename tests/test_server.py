"""BackgroundServer: serving inside a notebook, and what goes wrong there."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from teams_lib import BackgroundServer, Call, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.server import LOOPBACK, NotRunningError, PortTakenError, ServicerError

import grpc
import pytest

BOSTON = teams_pb2.TeamRequest(city="Boston")


def get_team(address: str, metadata: list[tuple[str, str | bytes]] | None = None) -> str:
    with grpc.insecure_channel(address) as channel:
        return teams_pb2_grpc.TeamsStub(channel).GetTeam(BOSTON, timeout=5, metadata=metadata).nickname


class Blocked(TeamsServicer):
    """GetTeam answers when it is released, and tells when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.released = threading.Semaphore(0), threading.Event()

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.begun.release()
        self.released.wait(30)
        return super().GetTeam(request, context)


class TestServing:
    def test_a_with_block_serves_on_a_free_loopback_port_and_stops(self) -> None:
        with BackgroundServer(TeamsServicer()) as server:
            address = server.address
            assert address.startswith(f"{LOOPBACK}:")
            assert get_team(address) == "Revolutionaries"
        with pytest.raises(grpc.RpcError) as caught:
            get_team(address)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

    def test_a_servicer_of_any_service_is_served(self) -> None:
        class Echo:
            def say(self, request: bytes, context: grpc.ServicerContext) -> bytes:
                return request

        def add(servicer: Echo, server: Any) -> None:
            handler = grpc.unary_unary_rpc_method_handler(servicer.say)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("my.Echo", {"Say": handler}),))

        with BackgroundServer(Echo(), add=add) as server, grpc.insecure_channel(server.address) as channel:
            assert server.services == ("my.Echo",)
            assert channel.unary_unary("/my.Echo/Say")(b"hello", timeout=5) == b"hello"

    def test_several_servicers_share_a_server(self) -> None:
        def add(servicer: object, server: Any) -> None:
            handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
            name = type(servicer).__name__
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Say": handler}),))

        class One:
            pass

        class Two:
            pass

        with BackgroundServer(One(), Two(), add=add) as server, grpc.insecure_channel(server.address) as channel:
            assert repr(server) == "<BackgroundServer 'One + Two': running, serves One, Two>"
            assert "serves <code>One</code>, <code>Two</code>" in server._repr_html_()
            assert [channel.unary_unary(f"/{name}/Say")(b"hello", timeout=5) for name in server.services] == [
                b"hello"
            ] * 2

    def test_a_class_below_a_class_below_the_generated_one_is_served(self) -> None:
        with BackgroundServer(Blocked()) as server:
            assert server.services == ("Teams",)

    def test_options_and_interceptors_reach_the_server(self) -> None:
        seen = []

        class Spy(grpc.ServerInterceptor):  # type: ignore[type-arg]
            def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
                seen.append(details.method)
                return continuation(details)

        options = [("grpc.max_receive_message_length", 10)]
        with BackgroundServer(TeamsServicer(), interceptors=[Spy()], options=options) as server:
            assert get_team(server.address) == "Revolutionaries"
            with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
                teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="x" * 20), timeout=5)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert seen == ["/Teams/GetTeam"] * 2

    def test_handlers_run_side_by_side_up_to_max_workers(self) -> None:
        servicer = Blocked()
        with BackgroundServer(servicer, max_workers=3) as server, grpc.insecure_channel(server.address) as channel:
            futures = [teams_pb2_grpc.TeamsStub(channel).GetTeam.future(BOSTON, timeout=30) for _ in range(4)]
            assert all(servicer.begun.acquire(timeout=5) for _ in range(3))
            assert not servicer.begun.acquire(blocking=False)
            servicer.released.set()
            assert [future.result().nickname for future in futures] == ["Revolutionaries"] * 4

    def test_calls_above_maximum_concurrent_rpcs_are_refused(self) -> None:
        servicer = Blocked()
        with (
            BackgroundServer(servicer, maximum_concurrent_rpcs=1) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            stub = teams_pb2_grpc.TeamsStub(channel)
            first = stub.GetTeam.future(BOSTON, timeout=30)
            assert servicer.begun.acquire(timeout=5)
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetTeam(BOSTON, timeout=5)
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            servicer.released.set()
            assert first.result().nickname == "Revolutionaries"


class TestRunningACellAgain:
    def test_a_server_of_the_same_name_takes_the_place_of_the_earlier_one(self) -> None:
        first = BackgroundServer(TeamsServicer()).start()
        address = first.address
        second = BackgroundServer(TeamsServicer()).start()
        try:
            assert (
                repr(first) == "<BackgroundServer 'Teams': replaced by a newer server of the same name, serves Teams>"
            )
            with pytest.raises(grpc.RpcError):
                get_team(address)
            assert message(NotRunningError, lambda: first.address) == (
                "The server 'Teams' is replaced by a newer server of the same name, so it has no address. "
                "Use the newer one, or give each of the two a name=… of its own."
            )
            assert get_team(second.address) == "Revolutionaries"
        finally:
            second.stop()

    def test_a_fixed_port_is_free_again_for_the_replacement(self) -> None:
        first = BackgroundServer(TeamsServicer()).start()
        port = int(first.address.rpartition(":")[2])
        for _ in range(5):
            server = BackgroundServer(TeamsServicer(), port=port).start()
            assert get_team(server.address) == "Revolutionaries"
        server.stop()

    def test_it_leaks_no_threads(self) -> None:
        def run() -> BackgroundServer:
            server = BackgroundServer(TeamsServicer()).start()
            get_team(server.address)
            return server

        server = run()
        before = {thread for thread in threading.enumerate() if "handler" in thread.name}
        for _ in range(10):
            server = run()
        for thread in before:
            thread.join(5)
        alive = [thread for thread in threading.enumerate() if "Teams handler" in thread.name and thread.is_alive()]
        for thread in alive[:-1]:
            thread.join(5)
        assert sum(thread.is_alive() for thread in alive) <= 1
        server.stop()

    def test_servers_of_different_names_live_side_by_side(self) -> None:
        with (
            BackgroundServer(TeamsServicer(), name="east") as east,
            BackgroundServer(TeamsServicer(), name="west") as west,
        ):
            assert get_team(east.address) == get_team(west.address) == "Revolutionaries"

    def test_unnamed_servers_in_with_blocks_replace_nothing(self) -> None:
        with BackgroundServer(TeamsServicer()) as one, BackgroundServer(TeamsServicer()) as other:
            assert get_team(one.address) == get_team(other.address) == "Revolutionaries"


class TestStopping:
    def test_stopping_twice_or_before_the_start_does_no_harm(self) -> None:
        server = BackgroundServer(TeamsServicer())
        server.stop()
        assert repr(server) == "<BackgroundServer 'Teams': not started, serves Teams>"
        server.start()
        server.stop()
        server.stop()
        assert repr(server) == "<BackgroundServer 'Teams': stopped, serves Teams>"

    def test_starting_twice_changes_nothing(self) -> None:
        server = BackgroundServer(TeamsServicer()).start()
        address = server.address
        assert server.start().address == address
        get_team(address)
        assert len(server.calls) == 1
        server.stop()
        with pytest.raises(grpc.RpcError):
            get_team(address)

    def test_a_stopped_server_comes_back_on_its_port(self) -> None:
        server = BackgroundServer(TeamsServicer()).start()
        address = server.address
        server.stop()
        assert server.start().address == address
        assert get_team(address) == "Revolutionaries"
        server.stop()

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a stopped server does not keep its port")
    def test_a_port_that_the_system_picked_goes_to_nobody_else_while_its_server_is_stopped(self) -> None:
        server = BackgroundServer(TeamsServicer()).start()
        address = server.address
        port = int(address.rpartition(":")[2])
        get_team(address)  # leaves a connection behind
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, port), timeout=5)
        with socket.socket() as another, pytest.raises(OSError, match="already in use"):
            another.bind((LOOPBACK, port))
        server.start()
        assert get_team(address) == "Revolutionaries"
        server.stop()
        del server
        with socket.create_server((LOOPBACK, port)):
            pass  # free again, as nobody can start that server any more

    def test_a_port_of_ones_own_choice_is_free_while_its_server_is_stopped(self) -> None:
        with socket.create_server((LOOPBACK, 0)) as free:
            port = free.getsockname()[1]
        with BackgroundServer(TeamsServicer(), port=port):
            pass
        with socket.create_server((LOOPBACK, port)):
            pass

    def test_without_grace_a_running_call_ends_at_once(self) -> None:
        servicer = Blocked()
        with BackgroundServer(servicer) as server, grpc.insecure_channel(server.address) as channel:
            future = teams_pb2_grpc.TeamsStub(channel).GetTeam.future(BOSTON, timeout=30)
            assert servicer.begun.acquire(timeout=5)
            server.stop()
            error = future.exception(timeout=5)
            assert isinstance(error, grpc.RpcError)
            assert future.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            servicer.released.set()

    def test_with_grace_a_running_call_gets_its_answer(self) -> None:
        servicer = Blocked()
        with BackgroundServer(servicer) as server, grpc.insecure_channel(server.address) as channel:
            future = teams_pb2_grpc.TeamsStub(channel).GetTeam.future(BOSTON, timeout=30)
            assert servicer.begun.acquire(timeout=5)
            threading.Timer(0.1, servicer.released.set).start()
            server.stop(grace=10)
            assert future.result(timeout=5).nickname == "Revolutionaries"

    @pytest.mark.parametrize("call", ["GetTeam.future(teams_pb2.TeamRequest())", "FollowTeams(iter(Event().wait, 0))"])
    def test_a_call_that_never_ends_does_not_keep_the_process_alive(self, call: str) -> None:
        program = f"""
from threading import Event
from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
import grpc

begun = Event()

class Stuck(TeamsServicer):
    def GetTeam(self, request, context):
        begun.set()
        Event().wait()
    def FollowTeams(self, requests, context):
        begun.set()
        yield from super().FollowTeams(requests, context)

server = BackgroundServer(Stuck()).start()
call = teams_pb2_grpc.TeamsStub(grpc.insecure_channel(server.address)).{call}
print(begun.wait(10))
"""
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=30)
        assert (run.stdout, run.stderr, run.returncode) == ("True\n", "", 0)


class TestTheLog:
    @pytest.fixture
    def server(self) -> Iterator[BackgroundServer]:
        with BackgroundServer(TeamsServicer()) as server:
            yield server

    def test_a_call_is_in_the_log_when_its_client_has_the_answer(self, server: BackgroundServer) -> None:
        for count in range(1, 50):
            get_team(server.address)
            assert len(server.calls) == count

    def test_it_holds_method_metadata_status_and_duration(self, server: BackgroundServer) -> None:
        get_team(server.address, metadata=[("trace", "7"), ("raw-bin", b"\0\1")])
        [call] = server.calls
        assert (call.method, call.status) == ("/Teams/GetTeam", grpc.StatusCode.OK)
        assert {("trace", "7"), ("raw-bin", b"\0\1")} < set(call.metadata)
        assert 0 < call.duration < 5
        assert repr(call) == "<Call /Teams/GetTeam OK {'trace': '7', 'raw-bin': b'\\x00\\x01'}>"

    def test_the_four_kinds_of_call_keep_their_kind(self, server: BackgroundServer) -> None:
        with grpc.insecure_channel(server.address) as channel:
            stub = teams_pb2_grpc.TeamsStub(channel)
            stub.GetTeam(BOSTON, timeout=5)
            list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))
            stub.ReportGames(iter([]), timeout=5)
            list(stub.FollowTeams(iter([]), timeout=5))
        assert [call.method for call in server.calls] == [
            "/Teams/GetTeam",
            "/Teams/ListTeams",
            "/Teams/ReportGames",
            "/Teams/FollowTeams",
        ]
        assert {call.status for call in server.calls} == {grpc.StatusCode.OK}

    def test_a_method_that_nobody_serves_is_unimplemented(self, server: BackgroundServer) -> None:
        with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/Teams/GetTaem")(b"", timeout=5)
        assert [repr(call) for call in server.calls] == ["<Call /Teams/GetTaem UNIMPLEMENTED>"]

    @pytest.mark.parametrize(
        ("behaviour", "status"),
        [
            (lambda context: context.abort(grpc.StatusCode.NOT_FOUND, "gone"), grpc.StatusCode.NOT_FOUND),
            (lambda context: 1 / 0, grpc.StatusCode.UNKNOWN),
            (lambda context: context.set_code(grpc.StatusCode.DATA_LOSS), grpc.StatusCode.DATA_LOSS),
            (lambda context: context.set_code(5), grpc.StatusCode.UNKNOWN),
        ],
        ids=["abort", "exception", "set_code", "a number"],
    )
    def test_a_failed_call_has_the_status_that_its_client_sees(self, behaviour: Any, status: grpc.StatusCode) -> None:
        class Failing(TeamsServicer):
            def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
                behaviour(context)
                return teams_pb2.TeamResponse()

        with BackgroundServer(Failing()) as server, pytest.raises(grpc.RpcError) as caught:
            get_team(server.address)
        assert caught.value.code() == status
        assert [call.status for call in server.calls] == [status]

    @pytest.mark.parametrize("way", ["CANCELLED", "DEADLINE_EXCEEDED"])
    def test_a_call_whose_client_left_says_how(self, way: str) -> None:
        servicer = Blocked()
        with BackgroundServer(servicer) as server, grpc.insecure_channel(server.address) as channel:
            timeout = 30 if way == "CANCELLED" else 0.3
            future = teams_pb2_grpc.TeamsStub(channel).GetTeam.future(BOSTON, timeout=timeout)
            assert servicer.begun.acquire(timeout=5)
            if way == "CANCELLED":
                future.cancel()
            else:
                future.exception(timeout=5)
            # The handler learns of it on another thread, a moment later.
            threading.Timer(0.2, servicer.released.set).start()
            assert [call.status.name for call in server.wait_for_calls(1)] == [way]

    def test_waiting_for_more_calls_than_come_ends_in_time(self, server: BackgroundServer) -> None:
        assert server.wait_for_calls(1, timeout=0.01) == []

    def test_the_log_belongs_to_the_server_and_a_copy_to_the_caller(self, server: BackgroundServer) -> None:
        get_team(server.address)
        server.calls.clear()
        assert [type(call) for call in server.calls] == [Call]


class TestErrorsThatHelp:
    def test_a_port_that_another_program_has_is_named_with_the_way_out(self) -> None:
        with socket.socket() as taken:
            taken.bind((LOOPBACK, 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(PortTakenError) as caught:
                BackgroundServer(TeamsServicer(), port=port).start()
        assert str(caught.value) == (
            f"Port {port} on 127.0.0.1 is taken: another program, or another notebook's kernel, listens there. "
            "Stop it, or take port 0, which is always free."
        )

    def test_a_port_that_another_server_of_this_kernel_has_is_named_too(self) -> None:
        with BackgroundServer(TeamsServicer(), name="east") as east:
            port = int(east.address.rpartition(":")[2])
            with pytest.raises(PortTakenError, match="the server 'east' of this process listens there"):
                BackgroundServer(TeamsServicer(), name="west", port=port).start()

    def test_a_server_that_does_not_run_has_no_address(self) -> None:
        server = BackgroundServer(TeamsServicer())
        assert message(NotRunningError, lambda: server.address) == (
            "The server 'Teams' is not started, so it has no address. Start it with .start() or a `with` block."
        )
        with server:
            pass
        assert message(NotRunningError, lambda: server.address) == (
            "The server 'Teams' is stopped, so it has no address. "
            "Call .start() to have it back on the same port, or use it inside its `with` block."
        )

    def test_nothing_to_serve(self) -> None:
        assert message(ServicerError, BackgroundServer) == (
            "There is nothing to serve. Pass a servicer: BackgroundServer(TeamsServicer())"
        )

    def test_a_class_in_place_of_an_object(self) -> None:
        assert message(ServicerError, lambda: BackgroundServer(TeamsServicer)) == (
            "TeamsServicer is a class. Pass an object of it: BackgroundServer(TeamsServicer())"
        )

    def test_an_object_that_is_no_servicer(self) -> None:
        assert message(ServicerError, lambda: BackgroundServer({})) == (
            "dict does not inherit from a generated servicer, such as teams_pb2_grpc.TeamsServicer. "
            "Let it inherit, or pass the generated function: BackgroundServer(servicer, add=add_…Servicer_to_server)"
        )


def message(kind: type[Exception], action: Callable[[], object]) -> str:
    """What the error of this kind says that the action raises."""
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize(("running", "dot"), [(True, "●"), (False, "○")])
def test_the_html_tells_state_and_services_and_escapes_names(running: bool, dot: str) -> None:
    server = BackgroundServer(TeamsServicer(), name="<east>")
    if running:
        server.start()
    html = server._repr_html_()
    server.stop()
    assert html == (
        f'<div><span aria-hidden="true">{dot}</span> <b>&lt;east&gt;</b> · '
        f"{'running' if running else 'not started'} · serves <code>Teams</code></div>"
    )


def test_the_neutral_text_form_holds_no_port() -> None:
    with BackgroundServer(TeamsServicer()) as server:
        assert repr(server) == "<BackgroundServer 'Teams': running, serves Teams>"
