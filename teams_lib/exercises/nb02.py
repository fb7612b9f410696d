"""Write a contract and compile it.

The checks run the real protoc, and load what it makes into descriptor pools of their own: a learner hands in many
versions of one contract, and a process accepts only one.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from teams_lib import teams_pb2
from teams_lib.exercises import NotYet, called, exercise, expect_equal

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

OLD_BYTES: Final = bytes.fromhex("0a06426f73746f6e1208426179205061726b1888a4012001")
"""A Stadium, as programs wrote it before the contract was broken."""


def _python(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-B", *arguments]
    # protoc writes UTF-8; Python may write in another encoding, but then only paths differ, which are not shown.
    run = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", timeout=3, check=False
    )
    return run.stderr.strip() if run.returncode else ""


def _load(contract: str) -> descriptor_pool.DescriptorPool:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "contract.proto").write_text(contract.lstrip(), encoding="utf-8")
        complaint = _python(
            folder, "-m", "grpc_tools.protoc", "-I.", "--descriptor_set_out=contract.bin", "contract.proto"
        )
        if complaint:
            # The first line: what follows it is often caused by it. Warnings of protoc itself start with a capital W.
            lines = [line for line in complaint.splitlines() if line.startswith("contract.proto")]
            raise NotYet(f"protoc says: {(lines or complaint.splitlines())[0]}")
        files = descriptor_pb2.FileDescriptorSet.FromString((folder / "contract.bin").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def _find(what: Callable[[str], Any], name: str) -> Any:
    try:
        return what(name)
    except KeyError:
        raise NotYet(f"The contract compiles, but I find no {name} in it any more.") from None


def _number(made: type[message.Message], name: str) -> str:
    field = made.DESCRIPTOR.fields_by_name.get(name)
    return f"field {field.number}" if field else "missing"


@exercise(
    "02.1",
    title="Read a key",
    stub='''
    def read_key(byte):
        """Return the field number and the wire type."""
        ...
    ''',
    solution="""
    def read_key(byte):
        return byte >> 3, byte & 0b111
    """,
    why="The lowest three bits are the wire type, and shifting them out leaves the field number.",
    hints=(
        "Look at the bits: f'{0x12:08b}' is 00010010. Which of them hold the 2 of the number, which the 2 of the type?",
        "A shift to the right, `>>`, drops the lowest bits. A mask, `&`, keeps only the bits that it has itself.",
        "`byte >> 3` drops the lowest three bits; `byte & 0b111` keeps only them.",
    ),
)
def _(answer: Any) -> None:
    for key, expected in ((0x0A, (1, 2)), (0x10, (2, 0)), (0x2D, (5, 5)), (0x7A, (15, 2))):
        got = called(answer, key)
        if isinstance(got, tuple | list) and tuple(got) == expected[::-1] != expected:
            raise NotYet(f"I called read_key(0x{key:02x}) and got {got!r}: the field number comes first.")
        expect_equal(call=f"read_key(0x{key:02x})", expected=expected, got=tuple(got) if isinstance(got, list) else got)


@exercise(
    "02.2",
    title="Mend a contract",
    stub='''
    stadiums = """
    syntax = "proto3";

    service Stadiums {
      // The stadium of a city.
      rpc GetStadium(StadiumRequest) returns (Stadium);
      // Every stadium, one message each, as soon as it is found.
      rpc ListStadiums(StadiumRequest) returns (Stadium)
    }

    message StadiumRequest { string city = 1; }

    message Stadium {
      enum Roof { OPEN = 1; CLOSED = 2; }
      string city = 1;
      text name = 2;
      int32 seats = 2;
      Roof roof = 4;
    }
    """
    ''',
    solution='''
    stadiums = """
    syntax = "proto3";

    service Stadiums {
      // The stadium of a city.
      rpc GetStadium(StadiumRequest) returns (Stadium);
      // Every stadium, one message each, as soon as it is found.
      rpc ListStadiums(StadiumRequest) returns (stream Stadium);
    }

    message StadiumRequest { string city = 1; }

    message Stadium {
      enum Roof { ROOF_UNSPECIFIED = 0; OPEN = 1; CLOSED = 2; }
      string city = 1;
      string name = 2;
      int32 seats = 3;
      Roof roof = 4;
    }
    """
    ''',
    why="protoc finds what is no contract at all; only the old bytes show that a number must stay what it was.",
    hints=(
        "Mend what protoc complains about first, in the line that it names, and run the cell again. It has four.",
        "The old bytes tell the field numbers: 0x12 is the key of the name, 0x18 that of the seats. "
        "And they hold an OPEN, so neither OPEN nor CLOSED can be the enum's zero.",
        "`enum Roof { ROOF_UNSPECIFIED = 0; OPEN = 1; CLOSED = 2; }`. When protoc is content, read the comment of "
        "ListStadiums once more: one message each means `stream`.",
    ),
)
def _(answer: Any) -> None:
    if not isinstance(answer, str):
        raise NotYet(f"I expected the text of a contract, but got {answer!r}.")
    pool = _load(answer)
    stadium = message_factory.GetMessageClass(_find(pool.FindMessageTypeByName, "Stadium"))
    roof = _find(pool.FindEnumTypeByName, "Stadium.Roof")
    methods = _find(pool.FindServiceByName, "Stadiums").methods_by_name
    try:
        old = stadium.FromString(OLD_BYTES)
    except message.DecodeError as error:
        raise NotYet(f"The contract compiles, but it can't read the old bytes: {error}.") from None
    for name, expected in (("city", "Boston"), ("name", "Bay Park"), ("seats", 21_000)):
        got = getattr(old, name, None)
        if got != expected:
            number = _number(stadium, name)
            raise NotYet(
                f"I read the old bytes. Expected {name} {expected!r}, but got {got!r}: your {name} is {number}."
            )
    value = roof.values_by_number.get(getattr(old, "roof", None))
    came = value.name if value else None
    if came != "OPEN":
        # 4 is the number in the bytes: what differs is the enum then.
        number = _number(stadium, "roof")
        why = "a value's number must stay" if number == "field 4" else f"your roof is {number}"
        raise NotYet(f"I read the old bytes. Expected roof OPEN, but got {came}: {why}.")
    for name, streams in (("GetStadium", False), ("ListStadiums", True)):
        if name not in methods:
            raise NotYet(f"The contract compiles, but the service has no {name} any more.")
        if methods[name].server_streaming is not streams or methods[name].client_streaming:
            ways = "one request, and many responses" if streams else "one request, and one response"
            raise NotYet(f"The contract compiles, but {name} is not what its comment says: {ways}.")


@exercise(
    "02.3",
    title="Compile into a deeper package",
    stub="""
    arguments = [
        "-Iclub=protobufs",
        "--python_out=.",
        "--grpc_python_out=.",
        "club/roster.proto",
        "club/player.proto",
    ]
    """,
    solution="""
    arguments = [
        "-Iclub/wire=protobufs",
        "--python_out=src",
        "--grpc_python_out=src",
        "club/wire/roster.proto",
        "club/wire/player.proto",
    ]
    """,
    why="The path by which protoc knows a file, club/wire/roster.proto, becomes its place below src and its import.",
    hints=(
        "Find the path club/wire/player.proto in the task. By which path does protoc know this file now?",
        "What stands before the = of `-I` may be a path of several parts. The two files are named by it as well.",
        "With `-Iclub/wire=protobufs` the file is `club/wire/player.proto`, and protoc repeats all of this path below "
        "the output folder. So the outputs name the folder above `club`.",
    ),
)
def _(answer: Any) -> None:
    if not isinstance(answer, list | tuple) or not all(isinstance(each, str) for each in answer):
        raise NotYet(f"I expected a list of arguments for protoc, all of them text, but got {answer!r}.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        protobufs, source = folder / "protobufs", folder / "src"
        package = source / "club" / "wire"
        protobufs.mkdir()
        package.mkdir(parents=True)
        for each in (package, package.parent):
            (each / "__init__.py").touch()
        (protobufs / "player.proto").write_text(
            'syntax = "proto3";\nmessage Player { string name = 1; }\n', encoding="utf-8"
        )
        (protobufs / "roster.proto").write_text(
            'syntax = "proto3";\nimport "club/wire/player.proto";\n'
            "service Roster { rpc Find(Player) returns (Player); }\n",
            encoding="utf-8",
        )
        complaint = _python(folder, "-m", "grpc_tools.protoc", *answer)
        if complaint:
            raise NotYet(f"protoc says: {complaint.splitlines()[0]}")
        for name in ("player_pb2", "roster_pb2", "roster_pb2_grpc"):
            if not (package / f"{name}.py").exists():
                found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*_pb2*.py"))
                wrote = ", ".join(found) or "nothing"
                raise NotYet(f"protoc is content, but there is no src/club/wire/{name}.py. It wrote {wrote}.")
        complaint = _python(source, "-c", "from club.wire import roster_pb2, roster_pb2_grpc")
        if complaint:
            raise NotYet(f"I ran `from club.wire import roster_pb2, roster_pb2_grpc`: {complaint.splitlines()[-1]}.")


@exercise(
    "02.4",
    title="Decode any message",
    stub='''
    def decode(data):
        """Return a list of pairs: field number and value."""
        ...
    ''',
    solution='''
    def read_varint(data, at):
        """The number at a position, and the position after it."""
        number, shift = 0, 0
        while True:
            byte = data[at]
            number |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return number, at


    def decode(data):
        fields, at = [], 0
        while at < len(data):
            key, at = read_varint(data, at)
            value, at = read_varint(data, at)
            if key & 7 == 2:
                value, at = data[at : at + value], at + value
            fields.append((key >> 3, value))
        return fields
    ''',
    why="Keys, numbers and lengths are all varints, so one small function reads every part but the text itself.",
    hints=(
        "Write read_varint(data, at): it returns the number and the position after it. A byte below 0x80 is the last.",
        "Then decode is one loop: read a key, read a varint. For wire type 0 that is the value; for 2 it is a length.",
        "Each byte adds `(byte & 0x7F) << shift`, and shift grows by 7. Keys and lengths can take two bytes too: read "
        "them the same way.",
    ),
)
def _(answer: Any) -> None:
    far = b"\x82\x01\x03abc\x88\x01\xac\x02"  # fields 16 and 17: keys of two bytes
    samples: Iterable[tuple[str, bytes, list[tuple[int, int | bytes]]]] = (
        (
            'TeamResponse(city="Chicago", nickname="Jackals")',
            teams_pb2.TeamResponse(city="Chicago", nickname="Jackals").SerializeToString(),
            [(1, b"Chicago"), (2, b"Jackals")],
        ),
        ("TeamResponse()", b"", []),
        ("Standing(wins=7)", teams_pb2.Standing(wins=7).SerializeToString(), [(2, 7)]),
        (
            "GameResult(home_score=300, away_score=20_000)",
            teams_pb2.GameResult(home_score=300, away_score=20_000).SerializeToString(),
            [(3, 300), (4, 20_000)],
        ),
        (
            'TeamRequest(city="Saint-" * 40)',
            teams_pb2.TeamRequest(city="Saint-" * 40).SerializeToString(),
            [(1, b"Saint-" * 40)],
        ),
        ("a message that has the fields 16 and 17", far, [(16, b"abc"), (17, 300)]),
    )
    for name, data, expected in samples:
        try:
            got = called(answer, data)
        except Exception as error:
            error.add_note(f"(I called decode with the bytes of {name})")  # the runner shows it with the learner's line
            raise
        if not isinstance(got, Iterable):
            raise NotYet(f"I called decode with the bytes of {name}. Expected a list of pairs, but got {got!r}.")
        pairs = [tuple(each) if isinstance(each, list | tuple) else each for each in got]
        expect_equal(call=f"decode with the bytes of {name}", expected=expected, got=pairs)
