"""The wire format of protobuf, read without protobuf."""

import struct

from teams_lib import teams_pb2
from teams_lib.wire.fields import MAX_DEPTH, MAX_FIELDS, WireField, fields

import pytest
from google.protobuf import any_pb2, descriptor_pb2, struct_pb2, type_pb2, wrappers_pb2
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st


def values(message: Message) -> dict[str, object]:
    return {field.name: field.value for field in fields(message.SerializeToString(), message.DESCRIPTOR)}


def test_a_field_is_a_key_a_length_and_a_value() -> None:
    data = bytes.fromhex("0a 07") + b"Chicago"
    assert fields(data, teams_pb2.TeamRequest.DESCRIPTOR) == (
        WireField(1, 2, "city", "Chicago", start=0, key_end=1, value_start=2, end=9),
    )


def test_without_a_descriptor_there_are_numbers_only() -> None:
    game = teams_pb2.GameResult(home_city="Boston", away_city="Chicago", home_score=14, away_score=-1)
    found = fields(game.SerializeToString())
    assert [(field.number, field.kind, field.name, field.value) for field in found] == [
        (1, "LEN", "", b"Boston"),
        (2, "LEN", "", b"Chicago"),
        (3, "VARINT", "", 14),
        (4, "VARINT", "", 2**64 - 1),
    ]


def test_the_descriptor_tells_what_a_varint_means() -> None:
    assert values(teams_pb2.GameResult(home_score=-1, away_score=300)) == {"home_score": -1, "away_score": 300}
    assert values(wrappers_pb2.BoolValue(value=True)) == {"value": True}
    assert values(wrappers_pb2.UInt64Value(value=2**64 - 1)) == {"value": 2**64 - 1}
    assert values(wrappers_pb2.Int64Value(value=-(2**63))) == {"value": -(2**63)}


def test_an_enum_gives_its_name_or_its_number_if_it_has_none() -> None:
    assert values(teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW)) == {"action": "FOLLOW"}
    [unknown] = fields(b"\x08\x63", teams_pb2.FollowRequest.DESCRIPTOR)
    assert unknown.value == 99


def test_fixed_fields_take_four_or_eight_bytes() -> None:
    [double] = fields(wrappers_pb2.DoubleValue(value=1.5).SerializeToString(), wrappers_pb2.DoubleValue.DESCRIPTOR)
    assert (double.kind, double.value, double.end - double.value_start) == ("I64", 1.5, 8)
    [single] = fields(wrappers_pb2.FloatValue(value=1.5).SerializeToString(), wrappers_pb2.FloatValue.DESCRIPTOR)
    assert (single.kind, single.value, single.end - single.value_start) == ("I32", 1.5, 4)
    [raw] = fields(b"\x09" + struct.pack("<Q", 7))
    assert (raw.kind, raw.value) == ("I64", 7)


def test_a_packed_field_gives_a_tuple() -> None:
    location = descriptor_pb2.SourceCodeInfo.Location(path=[4, 0, 300])
    assert values(location) == {"path": (4, 0, 300)}


def test_a_message_in_a_message_has_children_at_positions_of_the_whole() -> None:
    update = teams_pb2.ScoreUpdate(following=teams_pb2.Following(cities=["Boston"]))
    data = update.SerializeToString()
    [following] = fields(data, update.DESCRIPTOR)
    [cities] = following.children
    assert (following.name, cities.name, cities.value) == ("following", "cities", "Boston")
    assert data[cities.value_start : cities.end] == b"Boston"


def test_bytes_stay_bytes() -> None:
    assert values(any_pb2.Any(value=b"\xff\0")) == {"value": b"\xff\0"}


def test_a_field_that_the_descriptor_does_not_know_keeps_its_number() -> None:
    [field] = fields(bytes.fromhex("4a 01 78"), teams_pb2.TeamRequest.DESCRIPTOR)
    assert (field.number, field.name, field.value) == (9, "", b"x")


def test_a_field_of_another_wire_type_counts_as_unknown() -> None:
    [field] = fields(bytes.fromhex("08 05"), teams_pb2.TeamRequest.DESCRIPTOR)
    assert (field.number, field.name, field.value, field.problem) == (1, "", 5, "")


def test_a_group_has_the_fields_up_to_its_end_as_children() -> None:
    [group] = fields(bytes.fromhex("0b 10 05 0c"))
    assert (group.kind, group.start, group.end, group.value) == ("SGROUP", 0, 4, b"\x10\x05")
    assert [(child.number, child.value) for child in group.children] == [(2, 5)]


def test_a_string_that_is_no_utf8_says_so_and_the_next_field_is_read() -> None:
    first, second = fields(bytes.fromhex("0a 01 ff 12 01 78"), teams_pb2.TeamResponse.DESCRIPTOR)
    assert (first.value, first.problem) == (b"\xff", "a string that is not UTF-8")
    assert second.value == "x"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("0a 07 43 68", "truncated: 2 of 7 bytes"),
        ("0a", "truncated: a varint goes on"),
        ("08 80", "truncated: a varint goes on"),
        ("08" + "ff" * 11, "a varint longer than 10 bytes"),
        ("09 00 00", "truncated: 2 of 8 bytes"),
        ("0d 00", "truncated: 1 of 4 bytes"),
        ("02 00", "field number 0: 1 to 536870911 exist"),
        ("0e", "wire type 6: 0 to 5 exist"),
        ("0f", "wire type 7: 0 to 5 exist"),
        ("0c", "the end of a group that did not begin"),
        ("0b 10 05", "truncated: a group without its end"),
        ("0b 0a 09 14", "truncated: 1 of 9 bytes"),
    ],
)
def test_bytes_that_make_no_field_end_in_one_with_a_problem(data: str, problem: str) -> None:
    good = bytes.fromhex("12 01 78")
    *before, last = fields(good + bytes.fromhex(data))
    assert [field.value for field in before] == [b"x"]
    assert (last.problem, last.start, last.end) == (problem, 3, 3 + len(bytes.fromhex(data)))


def test_no_bytes_are_no_fields() -> None:
    assert fields(b"") == ()


def test_a_bomb_of_fields_is_not_read_to_its_end() -> None:
    found = fields(b"\x08\0" * (MAX_FIELDS + 1))
    assert len(found) == MAX_FIELDS + 1
    assert found[-1].problem == "more than 100000 fields: the rest is not read"


def test_a_bomb_of_packed_values_is_not_read_to_its_end() -> None:
    size = MAX_FIELDS + 1
    location = descriptor_pb2.SourceCodeInfo.Location(path=[0] * size)
    [path] = fields(location.SerializeToString(), location.DESCRIPTOR)
    assert path.problem == "more than 100000 values: the rest is not read"


def test_messages_are_read_to_a_depth() -> None:
    data = b""
    for key in (b"\x0a", b"\x32") * MAX_DEPTH:  # ListValue.values, Value.list_value
        length = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
        data = key + length + data
    found, depth, problem = fields(data, struct_pb2.Value.DESCRIPTOR), 0, ""
    while found:
        depth, problem, found = depth + 1, found[0].problem, found[0].children
    assert (depth, problem) == (MAX_DEPTH, "more than 100 levels of messages: the rest is not read")
    [group] = fields(b"\x0b" * 1000)
    assert group.problem == "more than 100 levels of messages: the rest is not read"


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1)),
    st.text(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(type_pb2.Field.Kind.values()),
)
@settings(derandomize=True, database=None)
def test_what_protobuf_writes_is_read_back(path: list[int], text: str, index: int, kind: type_pb2.Field.Kind) -> None:
    location = descriptor_pb2.SourceCodeInfo.Location(path=path, leading_comments=text)
    assert values(location) == ({"path": tuple(path)} if path else {}) | {"leading_comments": text}
    field = type_pb2.Field(kind=kind, number=index // 2, name=text)
    found = values(field)
    assert found.get("name", "") == text
    assert found.get("number", 0) == index // 2
    assert found.get("kind", "TYPE_UNKNOWN") == type_pb2.Field.Kind.Name(kind)


@given(st.binary(max_size=200))
@settings(derandomize=True, database=None)
def test_the_fields_of_any_bytes_follow_each_other_without_gaps(data: bytes) -> None:
    for descriptor in (None, struct_pb2.Struct.DESCRIPTOR, descriptor_pb2.FileDescriptorProto.DESCRIPTOR):
        at = 0
        for field in fields(data, descriptor):
            assert field.start == at <= field.key_end <= field.value_start <= field.end
            assert all(field.value_start <= child.start <= child.end <= field.end for child in field.children)
            at = field.end
        assert at == len(data)
