"""What foreign clients rely on: bytes, names and numbers of /Teams/GetTeam, spoken here without gRPC or protobuf."""

import socket
from collections.abc import Iterator

from teams_lib import BackgroundServer, League, TeamsServicer

import h2.config
import h2.connection
import h2.events
import pytest

MEMBERS = [(team.city, team.nickname) for team in League()]


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(TeamsServicer()) as server:
        yield server


def text_field(number: int, text: str) -> bytes:
    """A protobuf field of wire type 2: tag, length, bytes; lengths under 128 take one byte."""
    data = text.encode()
    return bytes([number << 3 | 2, len(data)]) + data


def call(server: BackgroundServer, path: str, message: bytes) -> tuple[bytes, dict[str, str]]:
    """One unary call over HTTP/2: the response message, and response headers and trailers together."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        http2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        http2.initiate_connection()
        http2.send_headers(
            1,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "teams.test"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ],
        )
        # Not compressed (0), then the length of the message in four bytes.
        http2.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        connection.sendall(http2.data_to_send())
        body, headers = b"", dict[str, str]()
        while True:
            received = connection.recv(65536)
            assert received, "the server closed the connection"
            for event in http2.receive_data(received):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    headers |= {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, h2.events.StreamEnded):
                    return body[5:], headers
            connection.sendall(http2.data_to_send())


@pytest.mark.parametrize(("city", "nickname"), [*MEMBERS, ("Miami", "not a member"), ("", "not a member")])
def test_a_foreign_client_gets_the_team_of_a_city(server: BackgroundServer, city: str, nickname: str) -> None:
    # An empty string is proto3's default: neither side sends it.
    request = text_field(1, city) if city else b""
    message, headers = call(server, "/Teams/GetTeam", request)
    assert message == request + text_field(2, nickname)
    assert headers[":status"] == "200"
    assert headers["content-type"] == "application/grpc"
    assert headers["grpc-status"] == "0"


def test_fields_from_a_later_version_of_the_contract_are_ignored(server: BackgroundServer) -> None:
    message, _ = call(server, "/Teams/GetTeam", text_field(9, "from the future") + text_field(1, "Boston"))
    assert message == text_field(1, "Boston") + text_field(2, "Revolutionaries")


def test_a_method_that_does_not_exist_is_status_12(server: BackgroundServer) -> None:
    message, headers = call(server, "/Teams/GetTaem", text_field(1, "Boston"))
    assert (message, headers["grpc-status"]) == (b"", "12")


def test_bytes_that_are_no_message_are_status_13(server: BackgroundServer) -> None:
    message, headers = call(server, "/Teams/GetTeam", b"\xff\xff\xff")
    assert (message, headers["grpc-status"]) == (b"", "13")
