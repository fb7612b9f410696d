"""BackgroundServer, the one way to serve inside a notebook, and the program `python -m teams_lib.server`.

ServerError                 what goes wrong before any call is made
├── PortTakenError          somebody listens on that port already
├── NotRunningError         the server has no address: not started yet, or stopped
└── ServicerError           the object given is not a servicer that can be added
"""

from __future__ import annotations

import argparse
import atexit
import html
import queue
import signal
import socket
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from teams_lib.servicer import TeamsServicer

import grpc

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]

LOOPBACK: Final = "127.0.0.1"
REPLACED: Final = "replaced by a newer server of the same name"
MAX_CALLS: Final = 10_000
"""How many calls a server's log holds; older ones are dropped."""


class ServerError(RuntimeError):
    """A server that cannot do what was asked."""


class PortTakenError(ServerError):
    """Somebody listens on that port already."""


class NotRunningError(ServerError):
    """The server has no address: it is not started yet, or stopped."""


class ServicerError(ServerError):
    """The object given is not a servicer that can be added to a server."""


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call, as a server saw it.

    The representation leaves out what differs from run to run: the duration, and the metadata that gRPC itself sends.
    """

    method: str
    """The full name, such as ``/Teams/GetTeam``."""

    metadata: tuple[tuple[str, str | bytes], ...]
    """What the client sent along, ``user-agent`` included; values of keys that end in ``-bin`` are bytes."""

    status: grpc.StatusCode
    """How the handler ended: CANCELLED or DEADLINE_EXCEEDED if the client was gone by then. OK also for an answer
    that gRPC then cannot serialise, such as None: the client gets INTERNAL for it."""

    duration: float = field(repr=False)
    """Seconds from the handler's start to its end."""

    def __repr__(self) -> str:
        sent = {key: value for key, value in self.metadata if key != "user-agent"}
        return f"<Call {self.method} {self.status.name}{f' {sent}' if sent else ''}>"


class BackgroundServer:
    """A gRPC server on 127.0.0.1 whose handlers run in threads of this process, safe to re-run in a notebook.

    Args:
        servicers: what to serve, one or more servicers of any services.
        add: the generated ``add_…Servicer_to_server``; found by itself if the servicer inherits from a generated one.
        name: starting a server stops the one that runs under the same name; the services' names if not given. A server
            in a ``with`` block replaces nothing unless it has a name of its own.
        port: 0 lets the operating system pick a free one. On Linux it stays with a stopped server: a client that still
            calls there is refused, and never answered by somebody who got the same port.
        max_workers: how many handlers run at once; further calls wait.
        interceptors: `grpc.ServerInterceptor` objects, the first one outermost.
        options: pairs of a channel argument's name and its value. ``grpc.so_reuseport`` is 0 unless given here.
        maximum_concurrent_rpcs: calls above this number are refused with RESOURCE_EXHAUSTED. Calls that wait for a
            worker count too, so a number above ``max_workers`` lets the rest wait.
        credentials: to serve TLS; plaintext without.

    Raises:
        ServicerError: a servicer is a class instead of an object, or no ``add_…_to_server`` belongs to it.

    Example:
        >>> from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
        >>> with BackgroundServer(TeamsServicer()) as server, grpc.insecure_channel(server.address) as channel:
        ...     teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=5).nickname
        'Revolutionaries'
        >>> server.calls
        [<Call /Teams/GetTeam OK>]

    Source: https://grpc.github.io/grpc/python/grpc.html#create-server and, for the options,
    https://github.com/grpc/grpc/blob/master/include/grpc/impl/channel_arg_names.h
    """

    def __init__(
        self,
        *servicers: object,
        add: Callable[[Any, Any], None] | None = None,
        name: str | None = None,
        port: int = 0,
        max_workers: int = 10,
        interceptors: Sequence[grpc.ServerInterceptor] = (),
        options: Sequence[tuple[str, Any]] = (),
        maximum_concurrent_rpcs: int | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        if not servicers:
            raise ServicerError("There is nothing to serve. Pass a servicer: BackgroundServer(TeamsServicer())")
        self._adders = [(servicer, add or _find_adder(servicer)) for servicer in servicers]
        self._port = port
        self._max_workers = max_workers
        self._interceptors = interceptors
        self._options = {"grpc.so_reuseport": 0, **dict(options)}
        self._maximum_concurrent_rpcs = maximum_concurrent_rpcs
        self._credentials = credentials
        self._named = name is not None
        self._server: grpc.Server | None = None
        self._pool: _DaemonThreads | None = None
        self._state = "not started"
        self._log = _CallLog()
        services = _Registrar()
        for servicer, adder in self._adders:
            adder(servicer, services)
        self.services: tuple[str, ...] = tuple(services.names)
        """The full names of the services, such as ``("Teams",)``."""
        self.name: str = name if name is not None else " + ".join(self.services)

    @property
    def address(self) -> str:
        """Where to connect: ``"127.0.0.1:<port>"``.

        Raises:
            NotRunningError: the server is not started yet, or stopped.
        """
        if self._state != "running":
            way_out = {
                "not started": "Start it with .start() or a `with` block.",
                "stopped": "Call .start() to have it back on the same port, or use it inside its `with` block.",
                REPLACED: "Use the newer one, or give each of the two a name=… of its own.",
            }[self._state]
            raise NotRunningError(f"The server {self.name!r} is {self._state}, so it has no address. {way_out}")
        return f"{LOOPBACK}:{self._port}"

    @property
    def calls(self) -> list[Call]:
        """The calls whose handlers have ended, oldest first; at most the last `MAX_CALLS`.

        Calls to methods that nobody serves are here too. Those above ``maximum_concurrent_rpcs``, and those that were
        over before a worker was free, reached no handler, and are not.
        """
        return self._log.snapshot()

    def wait_for_calls(self, count: int, timeout: float = 5.0) -> list[Call]:
        """Wait until at least so many calls have ended.

        A call that was answered is in the log before its client has the answer. One that the client gave up may run on
        for a while in its handler: this waits for that.

        Args:
            count: how many calls, of all since the server was made.
            timeout: seconds to wait at most.

        Returns:
            The log, as `calls`; shorter than ``count`` if the time ran out.
        """
        return self._log.wait_for(count, timeout)

    def start(self) -> BackgroundServer:
        """Bind the port and serve. A stopped server comes back on the port that it had.

        Returns:
            The server itself, so that ``server = BackgroundServer(…).start()`` works.

        Raises:
            PortTakenError: somebody listens on the port already.
        """
        with _registry_lock:
            earlier = _running.pop(self.name, None)
        if earlier is not None and earlier is not self:
            earlier._end(grace=0, state=REPLACED)
        self._open()
        with _registry_lock:
            _running[self.name] = self
        return self

    def _open(self) -> None:
        if self._state == "running":
            return
        pool = _DaemonThreads(self._max_workers, self.name)
        server = grpc.server(
            pool,  # type: ignore[arg-type]  # gRPC only submits to it: any executor will do
            interceptors=[self._log, *self._interceptors],
            options=list(self._options.items()),
            maximum_concurrent_rpcs=self._maximum_concurrent_rpcs,
        )
        for servicer, adder in self._adders:
            adder(servicer, server)
        self._port = _bind(server, LOOPBACK, self._port or self._pick_port(), self._credentials)
        server.start()
        self._server, self._pool, self._state = server, pool, "running"
        _open.add(self)

    def _pick_port(self) -> int:
        """A free port, and a socket that has it as long as this object lives, without listening; or 0."""
        if sys.platform != "linux":  # where only one socket at a time can have a port
            return 0
        held = socket.socket()
        weakref.finalize(self, held.close)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC's has: one of them may listen
        try:
            held.bind((LOOPBACK, 0))
        except OSError:
            return 0  # gRPC will say so
        port: int = held.getsockname()[1]
        return port

    def stop(self, grace: float = 0) -> None:
        """Refuse new calls, give the running ones some time, cancel what is left. A stopped server stays stopped.

        Args:
            grace: seconds that the running calls get; 0 cancels them at once.
        """
        with _registry_lock:
            if _running.get(self.name) is self:
                del _running[self.name]
        self._end(grace, "stopped")

    def _end(self, grace: float, state: str) -> None:
        server, pool, self._server, self._pool = self._server, self._pool, None, None
        if server is None or pool is None:
            return
        self._state = state
        _open.discard(self)
        # None cancels at once, as 0 does, but starts no thread: Python 3.12 refuses to start one at exit.
        server.stop(grace or None).wait(grace + 5)
        pool.shutdown(wait=False)

    def __enter__(self) -> BackgroundServer:
        if self._named:
            self.start()
        else:
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<BackgroundServer {self.name!r}: {self._state}, serves {', '.join(self.services)}>"

    def _repr_html_(self) -> str:
        dot = "●" if self._state == "running" else "○"
        services = ", ".join(f"<code>{html.escape(service)}</code>" for service in self.services)
        return (
            f'<div><span aria-hidden="true">{dot}</span> <b>{html.escape(self.name)}</b> · '
            f"{html.escape(self._state)} · serves {services}</div>"
        )


_running: dict[str, BackgroundServer] = {}  # by name: those that a newer one of the name replaces
_open: weakref.WeakSet[BackgroundServer] = weakref.WeakSet()  # all that have a port
_registry_lock = threading.Lock()


@atexit.register
def _stop_all() -> None:
    for server in list(_open):
        server.stop()


def _find_adder(servicer: object) -> Callable[[Any, Any], None]:
    if isinstance(servicer, type):
        raise ServicerError(
            f"{servicer.__name__} is a class. Pass an object of it: BackgroundServer({servicer.__name__}())"
        )
    for base in type(servicer).__mro__:
        adder: Callable[[Any, Any], None] | None = getattr(
            sys.modules.get(base.__module__), f"add_{base.__name__}_to_server", None
        )
        if adder is not None:
            return adder
    raise ServicerError(
        f"{type(servicer).__name__} does not inherit from a generated servicer, such as teams_pb2_grpc.TeamsServicer. "
        "Let it inherit, or pass the generated function: BackgroundServer(servicer, add=add_…Servicer_to_server)"
    )


def _bind(server: grpc.Server, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> int:
    address = _address(host, port)
    try:
        return server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        # gRPC says the same whatever the reason; a port of 0 is never taken.
        if port == 0:
            raise ServerError(f"Cannot listen on {host}: is that an address of this machine?") from error
        ours = [other.name for other in _open if other._port == port and host == LOOPBACK]
        holder = f"the server {ours[0]!r} of this process" if ours else "another program, or another notebook's kernel,"
        raise PortTakenError(
            f"Port {port} on {host} is taken: {holder} listens there. Stop it, or take port 0, which is always free."
        ) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Registrar:
    """Takes the place of a server in ``add_…_to_server``, to learn which services it would serve."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self.names += [handler.service_name() for handler in handlers if isinstance(handler, grpc.ServiceRpcHandler)]

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """The same methods once more, in a form that gRPC finds faster; nothing new in it."""


class _CallLog(grpc.ServerInterceptor):
    """Writes down every call. One that is answered is in the log before its client has the answer."""

    def __init__(self, on_call: Callable[[Call], None] | None = None) -> None:
        self._calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self._total = 0
        self._changed = threading.Condition()
        self._on_call = on_call
        self._handlers: dict[
            str, tuple[Handler, Handler]
        ] = {}  # by method: the handler, and the one that logs around it

    def snapshot(self) -> list[Call]:
        with self._changed:
            return list(self._calls)

    def wait_for(self, count: int, timeout: float) -> list[Call]:
        with self._changed:
            self._changed.wait_for(lambda: self._total >= count, timeout)
            return list(self._calls)

    def _write(self, call: Call) -> None:
        with self._changed:
            self._calls.append(call)
            self._total += 1
            self._changed.notify_all()
        if self._on_call is not None:
            self._on_call(call)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = continuation(details)
        if handler is None:
            self._write(Call(details.method, tuple(details.invocation_metadata), grpc.StatusCode.UNIMPLEMENTED, 0.0))
            return None
        known = self._handlers.get(details.method)
        if known is None or known[0] is not handler:  # the method's first call, or another interceptor makes new ones
            known = self._handlers[details.method] = handler, self._wrap(details.method, handler)
        return known[1]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        def ended(context: grpc.ServicerContext, start: float, failed: bool) -> None:
            duration = time.perf_counter() - start
            self._write(Call(method, tuple(context.invocation_metadata()), _status(context, failed), duration))

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            start = time.perf_counter()
            failed = True
            try:
                response = behaviour(request, context)
                failed = False
                return response
            finally:
                ended(context, start, failed)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            start = time.perf_counter()
            failed = True
            try:
                yield from behaviour(request, context)
                failed = False
            finally:
                ended(context, start, failed)

        make: Callable[..., Handler] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        return make(
            many if handler.response_streaming else one, handler.request_deserializer, handler.response_serializer
        )


def _status(context: Any, failed: bool) -> grpc.StatusCode:
    if not context.is_active():
        over = context.time_remaining()
        return grpc.StatusCode.DEADLINE_EXCEEDED if over is not None and over <= 0 else grpc.StatusCode.CANCELLED
    code = context.code()
    if code and not isinstance(code, grpc.StatusCode):  # set_code(5): the client is told UNKNOWN
        return grpc.StatusCode.UNKNOWN
    return code or (grpc.StatusCode.UNKNOWN if failed else grpc.StatusCode.OK)


class _DaemonThreads(futures.Executor):
    """A thread pool that never keeps its process alive.

    Python waits at exit for every worker of a `ThreadPoolExecutor`, before any other exit hook runs. A handler that
    does not return, in a learner's first servicer say, would hang the kernel on restart.
    """

    def __init__(self, max_workers: int, name: str) -> None:
        self._tasks: queue.SimpleQueue[tuple[futures.Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._max_workers = max_workers
        self._workers = 0
        self._closed = False
        self._name = name

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        future: futures.Future[Any] = futures.Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("this thread pool is closed")
            self._tasks.put((future, lambda: fn(*args, **kwargs)))
            if self._workers < self._max_workers and not self._idle.acquire(blocking=False):
                self._workers += 1
                threading.Thread(target=self._work, name=f"{self._name} handler {self._workers}", daemon=True).start()
        return future

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, run = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(run())
                except BaseException as error:
                    future.set_exception(error)
            del task, future, run  # an idle worker keeps nothing alive
            self._idle.release()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._closed = True
            for _ in range(self._workers):
                self._tasks.put(None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the Teams service until Ctrl-C, and print each call's method, status and metadata."""
    parser = argparse.ArgumentParser(prog="python -m teams_lib.server", description=main.__doc__)
    parser.add_argument(
        "--port", type=int, default=50051, help="where to listen; 0 takes a free port (default: %(default)s)"
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help="the address to listen on; 0.0.0.0 for all (default: %(default)s)"
    )
    args = parser.parse_args(arguments)
    if not 0 <= args.port <= 65535:
        parser.error(f"--port {args.port}: a port is a number from 0 to 65535")

    def show(call: Call) -> None:
        metadata = " ".join(f"{key}={value!r}" for key, value in call.metadata)
        print(f"{call.method} {call.status.name} {metadata}", flush=True)

    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=10), interceptors=[_CallLog(show)], options=[("grpc.so_reuseport", 0)]
    )
    _find_adder(servicer := TeamsServicer())(servicer, server)
    try:
        port = _bind(server, args.host, args.port)
    except PortTakenError as error:
        sys.exit(f"{error}\nSuch as: python -m teams_lib.server --port 0")
    except ServerError as error:
        sys.exit(str(error))
    # A polite kill is a Ctrl-C; and a program started in the background of a shell would ignore Ctrl-C.
    for polite in (signal.SIGINT, signal.SIGTERM):
        signal.signal(polite, signal.default_int_handler)
    try:
        server.start()
        print(f"Teams server listens on {_address(args.host, port)}. Ctrl-C stops it.", flush=True)
        server.wait_for_termination()
    except KeyboardInterrupt:
        server.stop(grace=1).wait()
        print("Teams server stopped.", flush=True)


if __name__ == "__main__":
    main()
