# SPDX-License-Identifier: GPL-2.0-only
"""The key `filters`: what drops frames on their way, in the words of pcap-filter(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology.fabric.links import EndSpec, end
from emu.document.fields import Fields, text
from emu.errors import FilterError
from emu.observe.filter import CaptureFilter

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class FilterSpec:
    """A filter.

    Attributes:
        at: a switch or a router, at all of its ports, or one end of a cable.
        words: of the filter.
        accepts: what matches gets through and nothing else; else it is dropped.
        file: where it stands.
        line: the same.
    """

    at: EndSpec
    words: str
    accepts: bool = False
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        return f"{'accept' if self.accepts else 'drop'} {self.words}"


def drop_filter(place: Place) -> FilterSpec:
    """Read one filter."""
    fields = Fields(place)
    at = fields.must("at", end)
    key = "accept" if fields.has("accept") else "drop"
    words = fields.must(key, _words)
    if key == "accept" and fields.has("drop"):
        fields.place.fault("has either drop or accept")
        fields.ignore("drop")
    return fields.done(FilterSpec(at, words, key == "accept", file=place.file, line=place.line))


def _words(place: Place) -> str:
    words = text(place)
    try:
        CaptureFilter.compile(words)
    except FilterError as error:
        place.fault(f"is no capture filter: {error}")
    return words
