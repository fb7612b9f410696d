"""Draws what just ran: calls, timelines, bytes, bars, states. Every picture carries its own text equivalent.

Each function returns a `Picture`, which a notebook shows as an image on a light card that reads in light and dark
themes; `repr` gives the text equivalent. Order and bytes repeat: `sequence` and `byte_fields` draw SVG, which nbval
compares as it does the text. Measured times and values do not: they are in a PNG only, which nbval skips.
"""

from teams_lib.pictures._calls import Arrow, Kind, Note, Step, path_of_a_call, sequence
from teams_lib.pictures._card import Picture, Unit
from teams_lib.pictures._times import Moment, Span, states, timeline
from teams_lib.pictures._values import Field, bars, byte_fields

__all__ = [
    "Arrow",
    "Field",
    "Kind",
    "Moment",
    "Note",
    "Picture",
    "Span",
    "Step",
    "Unit",
    "bars",
    "byte_fields",
    "path_of_a_call",
    "sequence",
    "states",
    "timeline",
]
