"""RPC concepts: call a function that lives elsewhere."""

import json
import socket
from collections.abc import Callable
from typing import Any

from teams_lib.exercises import NotYet, called, clean_up, exercise, expect_equal
from teams_lib.league import TEAMS
from teams_lib.server import BackgroundServer

import grpc


def _framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


@exercise(
    "01.1",
    title="Cut a stream into messages",
    stub='''
    def unframe(data):
        """Return the complete messages, and the bytes that are left over."""
        ...
    ''',
    solution="""
    def unframe(data):
        messages = []
        while len(data) >= 4:
            end = 4 + int.from_bytes(data[:4], "big")
            if len(data) < end:
                break
            messages.append(data[4:end])
            data = data[end:]
        return messages, data
    """,
    why="Only the length says where a message ends, and the rest waits until more bytes arrive.",
    hints=(
        "Take one message off the front, and repeat while there is a complete one.",
        "Two things may be incomplete at the end: the four bytes of a length, or a message. A message may be empty.",
        'int.from_bytes(data[:4], "big") is the length. The message is complete if 4 + length bytes are there.',
    ),
)
def _(unframe: Callable[[bytes], Any]) -> None:
    cases: list[tuple[bytes, tuple[list[bytes], bytes]]] = [
        (_framed(b"Chicago"), ([b"Chicago"], b"")),
        (_framed(b"Chicago", b"", b"Boston"), ([b"Chicago", b"", b"Boston"], b"")),
        (_framed(b"Chicago", b""), ([b"Chicago", b""], b"")),
        (b"", ([], b"")),
        (_framed(b"Chicago") + b"\0\0", ([b"Chicago"], b"\0\0")),
        (_framed(b"Chicago") + b"\0\0\0\6Bos", ([b"Chicago"], b"\0\0\0\6Bos")),
        (_framed(b"x" * 70_000, b"Boston"), ([b"x" * 70_000, b"Boston"], b"")),
    ]
    for data, expected in cases:
        got = called(unframe, data)
        call = f"unframe({data!r})" if len(data) < 100 else "unframe() with a message of 70,000 bytes and a short one"
        if not (isinstance(got, tuple | list) and len(got) == 2 and isinstance(got[0], tuple | list)):
            raise NotYet(f"I called {call}. Expected a pair, the list of messages and the rest, but got {got!r}.")
        expect_equal(call=call, expected=expected, got=(list(got[0]), got[1]))


@exercise(
    "01.2",
    title="Mend the client that believes a late answer",
    stub="""
    def call_with_id(connection, call_id, method, *args):
        message = {"id": call_id, "method": method, "args": args}
        send(connection, json.dumps(message).encode())
        reply = json.loads(receive(connection))
        return reply["ok"]
    """,
    solution="""
    def call_with_id(connection, call_id, method, *args):
        message = {"id": call_id, "method": method, "args": args}
        send(connection, json.dumps(message).encode())
        while True:
            reply = json.loads(receive(connection))
            if reply["id"] == call_id:
                return reply["ok"]
    """,
    why="A reply with another id answers a question that nobody waits for any more; gRPC numbers its streams for that.",
    hints=(
        "Which field of the reply tells whose answer it is?",
        "A reply with another id answers a question that nobody waits for any more. Yours is still on its way.",
        "Send as before. Then read replies in a loop, and leave the loop with the one whose id is yours.",
    ),
)
def _(call_with_id: Callable[..., Any]) -> None:
    for late in (0, 1, 3):
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.settimeout(1)  # a client that reads more than there is hears of it
            clean_up(end.close)
        replies = [{"id": 7 + n, "ok": "Wheels"} for n in range(late)] + [{"id": 7 + late, "ok": "Revolutionaries"}]
        theirs.sendall(_framed(*(json.dumps(reply).encode() for reply in replies)))
        try:
            got = called(call_with_id, ours, 7 + late, "get_team", "Boston")
        except TimeoutError:
            raise NotYet(
                f"{_late(late)} Your client read that, and went on waiting for more: there is nothing more to come."
            ) from None
        if got != "Revolutionaries":
            raise NotYet(f"{_late(late)} Expected 'Revolutionaries' for Boston, but got {got!r}.")
        ours.close()
        sent = _received(theirs)
        if len(sent) != 1:
            raise NotYet(
                f"{_late(late)} Your client sent {len(sent)} requests. It should send one, and then only read."
            )
        expect_equal(
            call=f'call_with_id(connection, {7 + late}, "get_team", "Boston") and looked at what it sent',
            expected={"id": 7 + late, "method": "get_team", "args": ["Boston"]},
            got=sent[0],
        )


def _received(connection: socket.socket) -> list[Any]:
    """All messages until the other end is closed."""
    messages = []
    with connection.makefile("rb") as file:
        while prefix := file.read(4):
            messages.append(json.loads(file.read(int.from_bytes(prefix, "big"))))
    return messages


def _late(count: int) -> str:
    before = {0: "No late answer", 1: "One late answer"}.get(count, f"{count} late answers")
    return f"{before} stood before the right one."


@exercise(
    "01.3",
    title="Speak JSON over gRPC",
    stub='''
    def json_get_team(channel, city):
        """Return the nickname of the city's team."""
        ...
    ''',
    solution="""
    def json_get_team(channel, city):
        method = channel.unary_unary(
            "/Teams/GetTeam",
            lambda message: json.dumps(message).encode(),
            json.loads,
        )
        return method({"city": city}, timeout=5)["nickname"]
    """,
    why="gRPC carries bytes: the two functions given to unary_unary decide what they mean.",
    hints=(
        "The seven steps above make a method by hand: a channel's unary_unary takes its full name and two functions.",
        "The full name is /Service/Method. The first function makes bytes of your request, "
        "the second makes what you like of the bytes of the answer.",
        "json.dumps(…).encode() makes bytes of a dictionary, and json.loads reads them: "
        "wrap the first in a lambda. What unary_unary returns is called with a dictionary and a timeout.",
    ),
)
def _(json_get_team: Callable[[grpc.Channel, str], Any]) -> None:
    seen: list[tuple[Any, float | None]] = []

    def get_team(request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            city = json.loads(request)["city"]
        except (ValueError, TypeError, KeyError):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f'I speak JSON such as {{"city": "Chicago"}}, and got {request!r}'
            )
        seen.append((city, context.time_remaining()))
        return json.dumps({"city": city, "nickname": TEAMS.get(city, "not a member")}).encode()

    asked: list[str] = []

    class Dispatcher(grpc.GenericRpcHandler):
        def service(self, call: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
            asked.append(call.method)
            return grpc.unary_unary_rpc_method_handler(get_team) if call.method == "/Teams/GetTeam" else None

    server = BackgroundServer(Dispatcher(), add=lambda it, to: to.add_generic_rpc_handlers((it,)), name="check 01.3")
    clean_up(server.start().stop)
    channel = grpc.insecure_channel(server.address)
    clean_up(channel.close)
    for city in ("Chicago", "New York", "Miami"):
        call = f'json_get_team(channel, "{city}")'
        try:
            got = called(json_get_team, channel, city)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                raise NotYet(f"I called {call}. It asked for the method {asked[-1]!r}, and there is none.") from None
            if "serializing" in (error.details() or ""):
                raise NotYet(
                    f"I called {call}, and gRPC said: {error.details()} Give unary_unary two functions: "
                    "one takes your request and returns bytes, the other takes the bytes of the answer."
                ) from None
            raise
        if not seen:
            raise NotYet(f"I called {call}, and the server got no call. The answer got here was {got!r}.")
        expect_equal(call=call, expected=TEAMS.get(city, "not a member"), got=got)
        if (left := seen[-1][1]) is None or left > 3600:
            raise NotYet(f"{call} gives {got!r}, as it should. But the call has no timeout: it could wait for ever.")
