"""The drawings of what a tap has recorded: calls, frames, bytes, streams."""

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.pictures import Field, Picture
from teams_lib.wire.calls import Conversation, decode
from teams_lib.wire.picture import draw_bytes, draw_frames, draw_messages, draw_streams
from teams_lib.wire.recording import Recording
from teams_lib.wire.tap import WireTap
from tests.drawings import NAME, assert_legible, assert_placed, svg, texts

import grpc
import pytest

GAME = teams_pb2.GameResult(home_city="Boston", away_city="Seattle", home_score=7)
FOLLOW = teams_pb2.FollowRequest.FOLLOW


class Refusing(TeamsServicer):
    """Knows no city, and says so in a way that is hard to draw."""

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no <team> in {request.city} & \x1b[31m, 球 \N{AMERICAN FOOTBALL}")


def get_team(stub: teams_pb2_grpc.TeamsStub) -> None:
    stub.GetTeam(teams_pb2.TeamRequest(city="Chicago"), timeout=5)


def list_teams(stub: teams_pb2_grpc.TeamsStub) -> None:
    assert len(list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="S"), timeout=5))) == 2


def report_games(stub: teams_pb2_grpc.TeamsStub, count: int = 2) -> None:
    stub.ReportGames(iter([GAME] * count), timeout=5)


def follow_teams(stub: teams_pb2_grpc.TeamsStub, count: int = 1) -> None:
    """Each request waits for the answer to the one before it, so that their order repeats."""
    requests: queue.SimpleQueue[teams_pb2.FollowRequest | None] = queue.SimpleQueue()
    updates = stub.FollowTeams(iter(requests.get, None), timeout=5)
    for _ in range(count):
        requests.put(teams_pb2.FollowRequest(action=FOLLOW, city="Boston"))
        next(updates)
    requests.put(None)
    assert not list(updates)


def during_a_stream(stub: teams_pb2_grpc.TeamsStub) -> None:
    """Two calls while a third one is open, which is then cancelled."""
    requests: queue.SimpleQueue[teams_pb2.FollowRequest | None] = queue.SimpleQueue()
    updates = stub.FollowTeams(iter(requests.get, None), timeout=5)
    requests.put(teams_pb2.FollowRequest(action=FOLLOW, city="Boston"))
    next(updates)
    get_team(stub)
    list_teams(stub)
    updates.cancel()
    requests.put(None)


KINDS = [get_team, list_teams, report_games, follow_teams]


def ended(talk: Conversation) -> bool:
    return bool(talk.calls) and all(call.end for call in talk.calls)


def record(*drive: Callable[[teams_pb2_grpc.TeamsStub], None], servicer: TeamsServicer | None = None) -> Recording:
    """What a client and a server of their own say, one connection for each drive."""
    with BackgroundServer(servicer or TeamsServicer()) as server, WireTap(server) as tap:
        for number, each in enumerate(drive, 1):
            options = [("grpc.use_local_subchannel_pool", 1)]  # or all channels would share a connection
            with grpc.insecure_channel(tap.address, options) as channel:
                each(teams_pb2_grpc.TeamsStub(channel))
                tap.wait_for(lambda talk, n=number: ended(talk) and len(talk.connections) == n)
        return tap.recording


def one_of_each(stub: teams_pb2_grpc.TeamsStub) -> None:
    for call in KINDS:
        call(stub)


def fifty(stub: teams_pb2_grpc.TeamsStub) -> None:
    for _ in range(50):
        get_team(stub)


@pytest.fixture(scope="module")
def talk() -> Conversation:
    """A call of each kind, one after another."""
    return decode(record(one_of_each))


@pytest.fixture(scope="module")
def long_talk() -> Conversation:
    """A client that streams a thousand games, and one that waits for each of a hundred answers."""
    return decode(record(lambda stub: report_games(stub, 1000), lambda stub: follow_teams(stub, 100)))


@pytest.fixture(scope="module")
def multiplexed() -> Conversation:
    return decode(record(during_a_stream))


@pytest.fixture(scope="module")
def refused() -> Conversation:
    def refused(stub: teams_pb2_grpc.TeamsStub) -> None:
        with pytest.raises(grpc.RpcError):
            get_team(stub)

    return decode(record(refused, servicer=Refusing()))


def lines(picture: Picture) -> list[str]:
    return picture.text.splitlines()


def all_pictures(talk: Conversation) -> Iterator[Picture]:
    """Every drawing of what repeats exactly; not of HEADERS in bytes, which hold the port."""
    yield draw_messages(talk, "Messages")
    yield draw_frames(talk, "Frames")
    yield draw_streams(talk, "Streams")
    for call in talk.calls:
        yield draw_messages(call)
        yield draw_frames(call)
        yield draw_bytes(call.requests[0], "Bytes")
        yield draw_bytes(call.requests[0].frames[0])


# --- all pictures -----------------------------------------------------------------------------------------------------


def test_the_same_calls_give_the_same_bytes_on_each_run(talk: Conversation) -> None:
    again = decode(record(one_of_each))

    assert [*all_pictures(again)] == [*all_pictures(talk)]


def test_text_is_legible_within_the_card_and_on_no_other_text(
    talk: Conversation, long_talk: Conversation, multiplexed: Conversation, refused: Conversation
) -> None:
    for each in (talk, long_talk, multiplexed, refused):
        for picture in all_pictures(each):
            assert_placed(picture)
            assert_legible(svg(picture))


def test_whatever_the_bytes_are_they_can_be_drawn() -> None:
    chunks = record(get_team).chunks
    for i, chunk in enumerate(chunks):
        for at in range(0, len(chunk.data), 7):
            data = chunk.data[:at] + bytes([chunk.data[at] ^ 0xFF]) + chunk.data[at + 1 :]
            talk = decode(Recording((*chunks[:i], replace(chunk, data=data), *chunks[i + 1 :])))
            drawn = [draw_frames(talk)] + [draw(talk) for draw in (draw_messages, draw_streams) if talk.calls]
            drawn += [draw_bytes(frame) for frame in talk.frames if frame.raw]
            for picture in drawn:
                assert svg(picture).tag == f"{NAME}svg"


def test_a_screen_reader_gets_the_title_and_the_text(talk: Conversation) -> None:
    for picture in (draw_messages(talk, "Calls"), draw_streams(talk, "Calls"), draw_bytes(b"\0", "Calls")):
        root = svg(picture)
        assert root.get("role") == "img"
        assert root.findtext(f"{NAME}title", "").endswith(": Calls")
        assert root.findtext(f"{NAME}desc") == picture.text
        assert lines(picture)[0] == "Calls"


def test_matplotlib_is_not_imported() -> None:
    program = """if True:
        import sys
        from teams_lib.wire.calls import Conversation
        from teams_lib.wire.picture import draw_bytes
        draw_bytes(b"abc")
        print("matplotlib" in sys.modules)
    """

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8").stdout == "False\n"


@pytest.mark.parametrize("draw", [draw_messages, draw_frames, draw_streams])
def test_nothing_to_draw_is_refused(draw: Any) -> None:
    with pytest.raises(ValueError, match="There are no"):
        draw(decode(Recording()))


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_call_is_its_start_its_messages_and_its_status(talk: Conversation) -> None:
    assert lines(draw_messages(talk.calls[0], "One call")) == [
        "One call",
        "client → server  GetTeam",
        'client → server  city: "Chicago"',
        'server → client  city: "Chicago" nickname: "Jackals"',
        "server → client  OK",
    ]


def test_a_half_close_is_drawn_where_it_comes_by_itself(talk: Conversation) -> None:
    game = 'client → server  home_city: "Boston" away_city: "Seattle" home_score: 7'
    start, *games, half_close, _, status = lines(draw_messages(talk.calls[2]))

    assert (start, *games, half_close, status) == (
        "client → server  ReportGames",
        game,
        game,
        "client → server  half-close",
        "server → client  OK",
    )


def test_an_error_is_drawn_with_its_details_whatever_is_in_them(refused: Conversation) -> None:
    picture = draw_messages(refused)

    error = "NOT_FOUND: no <team> in Chicago & \\x1b[31m, 球 \N{AMERICAN FOOTBALL}"
    assert lines(picture)[-1] == f"server → client  {error}"
    assert error in " ".join(text.text for text in texts(svg(picture)))


def test_calls_that_overlap_are_told_apart_by_their_stream(multiplexed: Conversation) -> None:
    said = lines(draw_messages(multiplexed))

    assert said[3:5] == ["client → server  stream 3: GetTeam", 'client → server  stream 3: city: "Chicago"']
    assert said[-1] == "client → server  stream 1: RST_STREAM CANCEL"


def test_calls_one_after_another_need_no_streams(talk: Conversation) -> None:
    assert "stream" not in draw_messages(talk).text


def test_two_clients_have_the_server_between_them_and_the_names_given() -> None:
    talk = decode(record(get_team, list_teams))

    assert lines(draw_messages(talk))[0] == "client 1 → server  GetTeam"
    picture = draw_messages(talk.calls, names={1: "you", 2: "somebody"})
    assert [text.text for text in texts(svg(picture))][:3] == ["you", "server", "somebody"]
    assert lines(picture)[3:5] == ["server → you       OK", "somebody → server  ListTeams"]


def test_connections_of_one_name_are_one_client() -> None:
    talk = decode(record(*[get_team] * 6))

    with pytest.raises(ValueError, match="6 clients do not fit"):
        draw_messages(talk)
    names = dict.fromkeys(range(1, 7), "client")
    assert set(lines(draw_messages(talk, names=names))[::4]) == {"client → server  GetTeam"}


def test_a_call_without_a_status_says_so() -> None:
    recording = record(get_team)
    before_the_answer = next(i for i, chunk in enumerate(recording.chunks) if b"/Teams/GetTeam" in chunk.data) + 1
    chunks = recording.chunks[:before_the_answer]
    broken = (*chunks, replace(chunks[-1], data=b"", end="reset"))

    assert lines(draw_messages(decode(Recording(chunks))))[-1] == "client           no status yet"
    assert lines(draw_messages(decode(Recording(broken))))[-1] == "client           no status: the connection ended"


def test_a_long_message_is_cut(talk: Conversation) -> None:
    summary = lines(draw_messages(talk.calls[2]))[-2]

    assert summary.startswith("server → client  accepted: 2 standings {")
    assert summary.endswith(" …")


# --- frames -----------------------------------------------------------------------------------------------------------


def test_a_conversation_begins_with_its_preface_and_settings(talk: Conversation) -> None:
    said = lines(draw_frames(talk))

    assert said[:5] == [
        "client → server  PREFACE",
        "client → server  SETTINGS, 6 settings",
        "server → client  SETTINGS, 4 settings",
        "client → server  HEADERS stream 1, :path /Teams/GetTeam",
        "client → server  DATA stream 1, 14 bytes, END_STREAM",
    ]


def test_the_frames_of_a_call_are_those_of_its_stream(talk: Conversation) -> None:
    assert lines(draw_frames(talk.calls[0])) == [
        "client → server  HEADERS stream 1, :path /Teams/GetTeam",
        "client → server  DATA stream 1, 14 bytes, END_STREAM",
        "server → client  HEADERS stream 1, :status 200",
        "server → client  DATA stream 1, 23 bytes",
        "server → client  HEADERS stream 1, grpc-status 0, END_STREAM",
    ]


def test_whichever_side_opens_first_the_client_is_drawn_first() -> None:
    chunks = record(get_team).chunks
    first = next(chunk for chunk in chunks if chunk.sender == "server")
    swapped = Recording((replace(first, at=chunks[0].at), *(chunk for chunk in chunks if chunk is not first)))

    assert decode(swapped).frames[0].kind == "SETTINGS"
    assert draw_frames(decode(swapped)) == draw_frames(decode(Recording(chunks)))


def test_frames_whose_order_varies_are_drawn_only_if_named(talk: Conversation) -> None:
    assert not any(kind in draw_frames(talk).text for kind in ("PING", "WINDOW_UPDATE", "ACK", "CLOSED"))

    named = draw_frames(talk, kinds={"SETTINGS", "WINDOW_UPDATE"}).text
    assert "SETTINGS, ACK" in named
    assert "WINDOW_UPDATE, " in named


def test_a_kind_that_is_not_there_is_refused_with_those_that_are(talk: Conversation) -> None:
    with pytest.raises(ValueError, match=r"only: .*DATA, HEADERS, .*PREFACE"):
        draw_frames(talk, kinds={"HEADER"})


def test_an_error_has_its_code_among_the_frames(refused: Conversation) -> None:
    assert lines(draw_frames(refused.calls[0]))[2:] == ["server → client  HEADERS stream 1, grpc-status 5, END_STREAM"]


def test_what_makes_no_frame_is_drawn_as_a_problem() -> None:
    chunks = record(get_team).chunks
    cut = Recording((*chunks[:1], replace(chunks[0], data=b"\0\0")))

    assert "PROBLEM, truncated: 2 of 9 bytes of a frame header" in draw_frames(decode(cut)).text


def test_times_are_in_the_image_only(talk: Conversation) -> None:
    timed = draw_frames(talk.calls[0], times=True)

    assert timed.text == draw_frames(talk.calls[0]).text
    assert timed.mime == "image/png"


# --- folding ----------------------------------------------------------------------------------------------------------


def test_a_long_run_of_the_same_is_folded(long_talk: Conversation) -> None:
    said = lines(draw_frames(long_talk.calls[0]))

    assert said[3] == said[5] == "client → server  DATA stream 1, 24 bytes"
    assert said[4] == "client → server  … 996 more DATA"
    assert len(said) == 10


def test_messages_are_counted_as_messages(long_talk: Conversation) -> None:
    assert "client → server  … 995 more messages" in lines(draw_messages(long_talk.calls[0]))


def test_of_a_long_exchange_the_middle_is_folded(long_talk: Conversation) -> None:
    said = lines(draw_messages(long_talk.calls[1], names={2: "client"}))

    assert len(said) <= 40
    assert said[0] == "client → server  FollowTeams"
    assert [line for line in said if "…" in line] == [f"server           … {1 + 200 + 2 - len(said) + 1} more events"]
    assert said[-2:] == ["client → server  half-close", "server → client  OK"]


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_a_frame_says_what_its_bytes_are(talk: Conversation) -> None:
    assert lines(draw_bytes(talk.calls[0].requests[0].frames[0], "A request")) == [
        "A request",
        "00 00 0e             | length: 14",
        "00                   | type: DATA",
        "01                   | flags: END_STREAM",
        "00 00 00 01          | stream: 1",
        "00                   | compressed flag: 0",
        "00 00 00 09          | message length: 9",
        "0a                   | city: key: 1, LEN",
        "07                   | city: length: 7",
        "43 68 69 63 61 67 6f | city: Chicago",
    ]


def test_a_message_is_drawn_with_its_prefix(talk: Conversation) -> None:
    frame = talk.calls[0].requests[0].frames[0]

    assert lines(draw_bytes(talk.calls[0].requests[0])) == lines(draw_bytes(frame))[4:]


def test_the_caller_may_say_what_the_bytes_are() -> None:
    assert lines(draw_bytes(b"\0\0\0\0\x07", parts=[Field(0, 5, "prefix")])) == ["00 00 00 00 07 | prefix"]


def test_long_bytes_are_cut_and_the_rest_counted() -> None:
    parts = [Field(0, 4, "start"), Field(4, 999, "middle"), Field(999, 1000, "end")]

    assert lines(draw_bytes(bytes(1000), parts=parts)) == [
        "00 00 00 00                                       | start",
        "00 00 00 00 00 00 00 00 00 00 00 00 … (188 bytes) | middle",
        "… 808 more bytes",
    ]


# --- streams ----------------------------------------------------------------------------------------------------------


def test_each_stream_has_a_lane_with_its_frames_in_the_order_of_all(multiplexed: Conversation) -> None:
    assert lines(draw_streams(multiplexed, "Three calls")) == [
        "Three calls",
        "stream 1 FollowTeams  1 HEADERS →, 2 DATA →, 3 HEADERS ←, 4 DATA ←, 16 RST_STREAM CANCEL →",
        "stream 3 GetTeam      5 HEADERS →, 6 DATA →, 7 HEADERS ←, 8 DATA ←, 9 OK ←",
        "stream 5 ListTeams    10 HEADERS →, 11 DATA →, 12 HEADERS ←, 13 DATA ←, 14 DATA ←, 15 OK ←",
    ]


def test_a_run_of_the_same_is_one_mark_with_its_count(long_talk: Conversation) -> None:
    first = lines(draw_streams(long_talk))[0]

    assert "2 DATA → ×1000, 1002 half-close →, 1003 HEADERS ←" in first


def test_streams_of_several_connections_say_which() -> None:
    talk = decode(record(get_team, list_teams))
    said = [line.split("  ")[0] for line in lines(draw_streams(talk))]

    assert said == ["connection 1, stream 1 GetTeam", "connection 2, stream 1 ListTeams"]


def test_however_long_the_name_of_a_method_its_frames_have_room(talk: Conversation) -> None:
    calls = tuple(replace(call, method="/Service/" + 20 * "ALongName") for call in talk.calls)

    assert_placed(draw_streams(replace(talk, calls=calls)))


def test_of_many_streams_the_first_and_last_are_drawn() -> None:
    picture = draw_streams(decode(record(fifty)))
    said = lines(picture)

    assert len(said) == 13
    assert said[8] == "… 38 more streams"
    assert (said[7].split("  ")[0], said[9].split("  ")[0]) == ("stream 15 GetTeam", "stream 93 GetTeam")
    assert_placed(picture)


def test_of_many_frames_the_first_and_last_are_drawn(long_talk: Conversation) -> None:
    picture = draw_streams(long_talk)
    *_, last = lines(picture)

    assert last.startswith("… ")
    assert last.endswith(" more frames")
    assert last in [text.text for text in texts(svg(picture))]


def test_streams_with_times_have_no_numbers_in_their_text(multiplexed: Conversation) -> None:
    picture = draw_streams(multiplexed, times=True)

    assert picture.mime == "image/png"
    assert lines(picture)[1] == "stream 3 GetTeam      HEADERS →, DATA →, HEADERS ←, DATA ←, OK ←"


def test_streams_with_times_count_what_repeats(long_talk: Conversation) -> None:
    assert "DATA → ×1000, half-close →" in draw_streams(long_talk, times=True).text
