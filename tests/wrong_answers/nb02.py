"""Wrong answers to the exercises of notebook 02."""

from tests.wrong_answers import spoilt

WRONG = {
    "02.1": [
        ("def read_key(byte):\n    return byte & 7, byte >> 3", "the field number comes first"),
        ("def read_key(byte):\n    return byte // 10, byte % 10", "I called read_key(0x0a). Expected (1, 2)"),
        ("def read_key(byte):\n    return byte >> 4, byte & 0b111", "Expected (1, 2), but got (0, 2)"),
        ("def read_key(byte):\n    print(byte >> 3, byte & 7)", "but got None"),
    ],
    "02.2": [
        (spoilt("02.2", ("(stream Stadium);", "(Stadium)")), 'contract.proto:8:1: Expected ";"'),
        (spoilt("02.2", ("string name", "text name")), '"text" is not defined'),
        (spoilt("02.2", ("seats = 3", "seats = 5")), "Expected seats 21000, but got 0: your seats is field 5"),
        (
            spoilt("02.2", ("roof = 4", "roof = 5")),
            "Expected roof OPEN, but got ROOF_UNSPECIFIED: your roof is field 5",
        ),
        (
            spoilt("02.2", ("ROOF_UNSPECIFIED = 0; OPEN = 1; CLOSED = 2", "OPEN = 0; CLOSED = 1")),
            "a value's number must stay",
        ),
        (spoilt("02.2", ("stream ", "")), "ListStadiums is not what its comment says"),
    ],
    "02.3": [
        (spoilt("02.3", ("-Iclub/wire=", "-Iclub.wire=")), "protoc says: Could not make proto path relative"),
        (spoilt("02.3", ("club/wire", "club")), "protoc says: club/wire/player.proto: File not found"),
        (spoilt("02.3", ("=src", "=.")), "no src/club/wire/player_pb2.py. It wrote club/wire/player_pb2.py"),
        (spoilt("02.3", ("=src", "=src/club/wire")), "It wrote src/club/wire/club/wire/player_pb2.py"),
        (spoilt("02.3", ('"--grpc_python_out=src",', "")), "there is no src/club/wire/roster_pb2_grpc.py"),
    ],
    "02.4": [
        (
            "def decode(data):\n"
            "    fields, at = [], 0\n"
            "    while at < len(data):\n"
            "        key, value, at = data[at], data[at + 1], at + 2\n"
            "        if key & 7 == 2:\n"
            "            value, at = data[at : at + value], at + value\n"
            "        fields.append((key >> 3, value))\n"
            "    return fields",
            "GameResult(home_score=300",
        ),
        (
            spoilt("02.4", ("        value, at = read_varint(data, at)\n", "")).replace(
                "value, at = data[at : at + value], at + value",
                "value, at = data[at + 1 : at + 1 + data[at]], at + 1 + data[at]\n"
                "        else:\n"
                "            value, at = read_varint(data, at)",
            ),
            'index out of range (I called decode with the bytes of TeamRequest(city="Saint-" * 40))',
        ),
        (spoilt("02.4", ("key, at = read_varint(data, at)", "key, at = data[at], at + 1")), "the fields 16 and 17"),
        (spoilt("02.4", ("at, shift = at + 1, shift + 7", "at, shift = at + 1, shift + 8")), "Expected [(3, 300)"),
        (spoilt("02.4", ("    return fields", "        return fields")), "but got [(1, b'Chicago')]"),
    ],
}
