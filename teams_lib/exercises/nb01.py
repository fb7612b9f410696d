"""RPC concepts"""

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
    stub="""
    def unframe(data): ...
    """,
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
        'int.from_bytes(data[:4], "big") is the length. The message is complete if 4 + length bytes are there.',
        "Two things may be incomplete at the end: the four bytes of the length, or the message. Both are the rest.",
    ),
)
def _(unframe: Callable[[bytes], Any]) -> None:
    cases: list[tuple[bytes, tuple[list[bytes], bytes]]] = [
        (_framed(b"Chicago"), ([b"Chicago"], b"")),
        (_framed(b"Chicago", b"", b"Boston"), ([b"Chicago", b"", b"Boston"], b"")),
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
        "Read replies in a loop, and leave the loop with the one whose id is yours.",
        "A reply with another id is late: drop it, and read the next.",
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
        size = int.from_bytes(theirs.recv(4), "big")
        sent = json.loads(theirs.recv(size))
        expect_equal(
            call=f'call_with_id(connection, {7 + late}, "get_team", "Boston") and looked at what it sent',
            expected={"id": 7 + late, "method": "get_team", "args": ["Boston"]},
            got=sent,
        )


def _late(count: int) -> str:
    before = {0: "No late answer", 1: "One late answer"}.get(count, f"{count} late answers")
    return f"{before} stood before the right one."


@exercise(
    "01.3",
    title="Speak JSON over gRPC",
    stub="""
    def json_get_team(channel, city): ...
    """,
    solution="""
    def json_get_team(channel, city):
        method = channel.unary_unary(
            "/Teams/GetTeam",
            request_serializer=lambda message: json.dumps(message).encode(),
            response_deserializer=json.loads,
        )
        return method({"city": city}, timeout=5)["nickname"]
    """,
    why="gRPC carries bytes: the two functions given to unary_unary decide what they mean.",
    hints=(
        "The seven steps above make a method by hand: a channel's unary_unary takes its full name and two functions.",
        "The first function makes bytes of a request: json.dumps(…) gives text, .encode() makes bytes of it.",
        'method({"city": city}, timeout=5) gives what your second function made of the answer, a dictionary.',
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

    handlers = grpc.method_handlers_generic_handler("Teams", {"GetTeam": grpc.unary_unary_rpc_method_handler(get_team)})
    server = BackgroundServer(object(), add=lambda _, it: it.add_generic_rpc_handlers((handlers,)), name="check 01.3")
    clean_up(server.start().stop)
    channel = grpc.insecure_channel(server.address)
    clean_up(channel.close)
    for city in ("Chicago", "New York", "Miami"):
        got = called(json_get_team, channel, city)
        call = f'json_get_team(channel, "{city}")'
        if not seen:
            raise NotYet(f"I called {call}, and the server got no call. The answer got here was {got!r}.")
        expect_equal(call=call, expected=TEAMS.get(city, "not a member"), got=got)
        if (left := seen[-1][1]) is None or left > 3600:
            raise NotYet(f"{call} gives {got!r}, as it should. But the call has no timeout: it could wait for ever.")
