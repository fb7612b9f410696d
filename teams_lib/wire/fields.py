"""Protobuf's wire format: the bytes of a message as its raw fields, with or without the descriptor that names them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

KINDS: Final = ("VARINT", "I64", "LEN", "SGROUP", "EGROUP", "I32")
"""The names of the wire types, by their number."""

MAX_FIELDS: Final = 100_000
"""So many fields are read of a message. Two bytes can claim a field: a few megabytes would fill the memory."""

MAX_DEPTH: Final = 100
"""So many levels of messages in messages are read, as protobuf itself does."""

Scalar = int | float | bool | str | bytes

_VARINT, _I64, _LEN, _SGROUP, _EGROUP, _I32 = range(6)
_F = FieldDescriptor
_WIRE_TYPES: Final = {
    _F.TYPE_DOUBLE: _I64,
    _F.TYPE_FIXED64: _I64,
    _F.TYPE_SFIXED64: _I64,
    _F.TYPE_FLOAT: _I32,
    _F.TYPE_FIXED32: _I32,
    _F.TYPE_SFIXED32: _I32,
    _F.TYPE_STRING: _LEN,
    _F.TYPE_BYTES: _LEN,
    _F.TYPE_MESSAGE: _LEN,
    _F.TYPE_GROUP: _SGROUP,
}
"""By the declared type; all others are varints."""

_FORMATS: Final = {
    _F.TYPE_DOUBLE: "<d",
    _F.TYPE_FLOAT: "<f",
    _F.TYPE_SFIXED64: "<q",
    _F.TYPE_SFIXED32: "<i",
}


@dataclass(frozen=True, slots=True)
class WireField:
    """One field as it stands in the bytes: a key, and a value.

    Positions count from the first byte of the outermost message, in children too.
    """

    number: int
    """The field number; 0 if the key could not be read."""

    wire_type: int
    """0 to 5: how the value is written. 6 and 7 do not exist: then there is a problem."""

    name: str
    """The name in the descriptor; empty without one, and for fields that it does not know in this wire type."""

    value: Scalar | tuple[Scalar, ...]
    """As the descriptor declares it: a packed field gives a tuple, an enum its name. Without a descriptor, what the
    wire type tells: an unsigned int, or bytes. A message or group gives its bytes; see `children`."""

    start: int
    """Where the key begins."""

    key_end: int
    """Where the key ends. In a LEN field the length follows, up to `value_start`."""

    value_start: int
    """Where the value begins."""

    end: int
    """Where the field ends. The end of a group includes its closing key."""

    children: tuple[WireField, ...] = ()
    """The fields of a message that the descriptor names, or of a group."""

    problem: str = ""
    """What is wrong with it. Bytes that make no field end in a field with a problem."""

    @property
    def kind(self) -> str:
        """The name of the wire type: VARINT, I64, LEN, SGROUP, EGROUP or I32."""
        return KINDS[self.wire_type] if self.wire_type < len(KINDS) else "?"


def fields(data: bytes, descriptor: Descriptor | None = None) -> tuple[WireField, ...]:
    """Read the bytes of a message as fields, in their order.

    Args:
        data: The message as it was sent, uncompressed, without gRPC's prefix.
        descriptor: What it should be: gives names, types and nested messages. The wire itself has only numbers.

    Returns:
        The fields. If the bytes make no further field, the last one has a `problem`, and reaches to the end.

    Example:
        >>> [field] = fields(bytes.fromhex("0a 07 43 68 69 63 61 67 6f"))
        >>> field.number, field.kind, field.value
        (1, 'LEN', b'Chicago')

    Source: https://protobuf.dev/programming-guides/encoding/
    """
    return tuple(_Reader(data).message(0, len(data), descriptor))


class _MalformedError(Exception):
    """The bytes make no field; says why."""


class _Reader:
    """Reads fields up to the limit of their number, over all levels."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_FIELDS

    def message(self, at: int, end: int, descriptor: Descriptor | None, depth: int = 0) -> Iterator[WireField]:
        while at < end:
            field = self._field(at, end, descriptor, depth)
            yield field
            if field.problem and not field.name:
                return
            at = field.end

    def _field(self, start: int, end: int, descriptor: Descriptor | None, depth: int) -> WireField:
        """The field at `start`; malformed: one that reaches to the end, with its problem and without a name."""
        number, wire_type, at = 0, 0, start
        try:
            if not self._left:
                raise _MalformedError(f"more than {MAX_FIELDS} fields: the rest is not read")
            self._left -= 1
            key, at = self._varint(start, end)
            number, wire_type = key >> 3, key & 7
            if not 1 <= number < 1 << 29:
                raise _MalformedError(f"field number {number}: 1 to {(1 << 29) - 1} exist")
            if wire_type == _SGROUP:
                return self._group(number, start, at, end, descriptor, depth)
            value_start, value_end = self._extent(wire_type, at, end)
        except _MalformedError as error:
            return WireField(number, wire_type, "", self._data[at:end], start, at, at, end, problem=str(error))
        declared = _declared(descriptor, number, wire_type)
        value, problem = self._value(wire_type, value_start, value_end, declared)
        children: tuple[WireField, ...] = ()
        if declared is not None and declared.type == _F.TYPE_MESSAGE:
            if depth + 1 < MAX_DEPTH:
                children = tuple(self.message(value_start, value_end, declared.message_type, depth + 1))
            else:
                problem = f"more than {MAX_DEPTH} levels of messages: the rest is not read"
        name = declared.name if declared else ""
        return WireField(number, wire_type, name, value, start, at, value_start, value_end, children, problem)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """The number at `at`, and where it ends: seven bits a byte, the lowest first."""
        number = shift = 0
        for position in range(at, min(at + 10, end)):
            byte = self._data[position]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number & (1 << 64) - 1, position + 1
            shift += 7
        raise _MalformedError("a varint longer than 10 bytes" if end - at >= 10 else "truncated: a varint goes on")

    def _extent(self, wire_type: int, at: int, end: int) -> tuple[int, int]:
        """Where the value begins and ends."""
        match wire_type:
            case 0:
                return at, self._varint(at, end)[1]
            case 1 | 5:
                length = 8 if wire_type == _I64 else 4
            case 2:
                length, at = self._varint(at, end)
            case 4:
                raise _MalformedError("the end of a group that did not begin")
            case _:
                raise _MalformedError(f"wire type {wire_type}: 0 to 5 exist")
        if length > end - at:
            raise _MalformedError(f"truncated: {end - at} of {length} bytes")
        return at, at + length

    def _value(
        self, wire_type: int, start: int, end: int, declared: FieldDescriptor | None
    ) -> tuple[Scalar | tuple[Scalar, ...], str]:
        """The value, and what is wrong with it."""
        data = self._data[start:end]
        if wire_type == _LEN:
            if declared is None or declared.type in (_F.TYPE_BYTES, _F.TYPE_MESSAGE):
                return data, ""
            if declared.type == _F.TYPE_STRING:
                try:
                    return data.decode(), ""
                except UnicodeDecodeError:
                    return data, "a string that is not UTF-8"
            return self._packed(start, end, declared)
        number = self._varint(start, end)[0] if wire_type == _VARINT else int.from_bytes(data, "little")
        return _scalar(number, data, declared), ""

    def _packed(self, start: int, end: int, declared: FieldDescriptor) -> tuple[tuple[Scalar, ...], str]:
        """The elements of a packed field: one value after another, without keys."""
        wire_type, at = _WIRE_TYPES.get(declared.type, _VARINT), start
        values: list[Scalar] = []
        try:
            while at < end:
                if not self._left:
                    raise _MalformedError(f"more than {MAX_FIELDS} values: the rest is not read")
                self._left -= 1
                value_end = self._extent(wire_type, at, end)[1]
                value = self._value(wire_type, at, value_end, declared)[0]
                assert not isinstance(value, tuple)
                values.append(value)
                at = value_end
        except _MalformedError as error:
            return tuple(values), str(error)
        return tuple(values), ""

    def _group(
        self, number: int, start: int, at: int, end: int, descriptor: Descriptor | None, depth: int
    ) -> WireField:
        """A group: fields up to the end key of the same number. Proto3 has none, but reads over them."""
        if depth + 1 >= MAX_DEPTH:
            raise _MalformedError(f"more than {MAX_DEPTH} levels of messages: the rest is not read")
        declared = _declared(descriptor, number, _SGROUP)
        children: list[WireField] = []
        position = at
        while position < end:
            key, key_end = self._varint(position, end)
            if key == number << 3 | _EGROUP:
                name = declared.name if declared else ""
                value = self._data[at:position]
                return WireField(number, _SGROUP, name, value, start, at, at, key_end, tuple(children))
            child = self._field(position, end, declared.message_type if declared else None, depth + 1)
            children.append(child)
            if child.problem and not child.name:
                raise _MalformedError(child.problem)
            position = child.end
        raise _MalformedError("truncated: a group without its end")


def _declared(descriptor: Descriptor | None, number: int, wire_type: int) -> FieldDescriptor | None:
    """The declaration of a field, if it agrees with the wire type; parsers take any other for an unknown field."""
    declared = descriptor.fields_by_number.get(number) if descriptor else None
    if declared is None:
        return None
    natural = _WIRE_TYPES.get(declared.type, _VARINT)
    packed = wire_type == _LEN and declared.is_repeated and natural in (_VARINT, _I64, _I32)
    return declared if wire_type == natural or packed else None


def _scalar(number: int, data: bytes, declared: FieldDescriptor | None) -> Scalar:
    """A number as its declaration reads it."""
    if declared is None:
        return number
    if (layout := _FORMATS.get(declared.type)) is not None:
        value: float | int = struct.unpack(layout, data)[0]
        return value
    match declared.type:
        case _F.TYPE_BOOL:
            return number != 0
        case _F.TYPE_UINT32:
            return number & (1 << 32) - 1
        case _F.TYPE_INT32:
            return _signed(number, 32)
        case _F.TYPE_INT64:
            return _signed(number, 64)
        case _F.TYPE_SINT32:
            return _zigzag(number & (1 << 32) - 1)
        case _F.TYPE_SINT64:
            return _zigzag(number)
        case _F.TYPE_ENUM if declared.enum_type:
            known = declared.enum_type.values_by_number.get(_signed(number, 32))
            return known.name if known else _signed(number, 32)
    return number


def _signed(number: int, bits: int) -> int:
    """Two's complement: a negative number is sent as a huge one."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> bits - 1 else number


def _zigzag(number: int) -> int:
    """0, -1, 1, -2, … are sent as 0, 1, 2, 3, …"""
    return number >> 1 ^ -(number & 1)
