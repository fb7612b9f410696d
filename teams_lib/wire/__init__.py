"""The wire made visible: record what goes between a client and a server, decode it, draw it.

    with BackgroundServer(TeamsServicer()) as server, WireTap(server) as tap:
        with grpc.insecure_channel(tap.address) as channel:
            teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="Chicago"), timeout=5)
        talk = tap.decode()
    draw_frames(talk)

`WireTap` stands between the two and records bytes. `decode` reads them afterwards: HTTP/2 frames, and gRPC calls and
messages made of these. The `draw_…` functions make pictures. Bytes that make no sense never raise: they become a
`Problem` at their place among the frames.
"""

from teams_lib.wire.calls import Call, Connection, Conversation, Message, decode
from teams_lib.wire.faults import Bandwidth, BlackHole, CutAfter, Delay, Fault, ResetAfter
from teams_lib.wire.fields import WireField, fields
from teams_lib.wire.frames import Frame, Header, Part, Problem
from teams_lib.wire.picture import draw_bytes, draw_frames, draw_messages, draw_streams
from teams_lib.wire.recording import Chunk, Recording
from teams_lib.wire.tap import WireTap

__all__ = [
    "Bandwidth",
    "BlackHole",
    "Call",
    "Chunk",
    "Connection",
    "Conversation",
    "CutAfter",
    "Delay",
    "Fault",
    "Frame",
    "Header",
    "Message",
    "Part",
    "Problem",
    "Recording",
    "ResetAfter",
    "WireField",
    "WireTap",
    "decode",
    "draw_bytes",
    "draw_frames",
    "draw_messages",
    "draw_streams",
    "fields",
]
