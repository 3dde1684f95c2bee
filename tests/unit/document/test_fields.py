# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.document import parse
from emu.document.fields import Fields, Place, Report, boolean, integer, one_of, seconds, text
from emu.errors import DocumentError, Fault
from emu.sim.time import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable


class Reading:
    """A document under way: its top, and the faults so far."""

    def __init__(self, document: str) -> None:
        (found,) = parse(document, "f")
        self.report = Report("f")
        self.top = Place(found.value, self.report)

    @property
    def faults(self) -> list[str]:
        """What was reported, a line each."""
        try:
            self.report.check()
        except DocumentError as error:
            return [str(fault).removeprefix("f:") for fault in error.faults]
        return []


class TestPlaces:
    """A place knows its value, its line and its path."""

    def test_place_is_found_by_keys_and_indices(self) -> None:
        """However deep it is, and only where there is something."""
        top = Reading("a:\n  - b: {c.d: 1}\n").top
        place = top.at("a").at(0).at("b").at("c.d")
        assert (place.value, place.is_given, place.line, place.path) == (1, True, 2, "$.a[0].b['c.d']")

    @pytest.mark.parametrize("steps", [("x",), ("a", 5), ("a", "x"), ("a", 0, "b", "x", "y")])
    def test_missing_place_is_told_where_it_should_be(self, steps: tuple[str | int, ...]) -> None:
        """It has no value; its line is that of what should hold it."""
        place = Reading("a:\n  - b: {}\n").top
        for step in steps:
            place = place.at(step)
        assert (place.value, place.is_given, place.line in {1, 2}) == (None, False, True)

    def test_faults_of_other_files_keep_their_place(self) -> None:
        """A rules file's line, and the path that leads to it."""
        reading = Reading("a: x.rules")
        reading.top.at("a").fault_in("x.rules", 7, "is wrong")
        with pytest.raises(DocumentError) as refused:
            reading.report.check()
        assert refused.value.faults == (Fault("x.rules", 7, "$.a", "is wrong"),)

    def test_hopeless_document_is_given_up(self) -> None:
        """A thousand faults are all that anybody wants to see."""
        reading = Reading("[]")
        for _ in range(999):
            reading.top.fault("is wrong")
        with pytest.raises(DocumentError) as refused:
            reading.top.fault("is wrong")
        assert len(refused.value.faults) == 1000


class TestFields:
    """The keys of a mapping."""

    def test_keys_are_read_with_their_defaults(self) -> None:
        """What has to be there, what may, lists and mappings."""
        fields = Fields(Reading("a: x\nb: [1, 2]\nc: {k: 3}\n").top)
        assert fields.must("a", text) == "x"
        assert fields.each("b", integer(0, 9)) == (1, 2)
        assert fields.entries("c", integer(0, 9)) == (("k", 3),)
        assert fields.get("d", text, None) is None
        assert (fields.each("e", text), fields.entries("f", text)) == ((), ())
        assert (fields.has("a"), fields.has("d")) == (True, False)
        assert fields.done("result") == "result"

    def test_reading_goes_on_behind_a_fault(self) -> None:
        """Wrong and missing values are blank; unknown keys are told at the end, with what was meant."""
        reading = Reading("size: big\ncolour: red\nlist: {}\nmap: []\nitems: [1, x]\n")
        fields = Fields(reading.top)
        assert fields.must("size", integer(1, 5)) == 1
        assert fields.must("name", text) == ""
        assert fields.each("list", text) == ()
        assert fields.entries("map", text) == ()
        assert fields.each("items", text) == ("", "x")
        fields.get("color", text, "")
        fields.done(None)
        assert reading.faults == [
            "1: $: lacks name",
            "1: $.size: must be a whole number from 1 to 5, not 'big'",
            "2: $.colour: unknown key; did you mean 'color'?",
            "3: $.list: must be a list, not a mapping",
            "4: $.map: must be a mapping of keys to values, not a list",
            "5: $.items[0]: must be text (quote it), not 1",
        ]

    def test_what_is_no_mapping_is_told_once(self) -> None:
        """Not a second time for each key that it lacks."""
        reading = Reading("[a]")
        fields = Fields(reading.top)
        assert (fields.must("a", text), fields.has("a"), fields.each("b", text)) == ("", False, ())
        fields.ignore("c")
        fields.done(None)
        assert reading.faults == ["1: $: must be a mapping of keys to values, not a list"]


class TestValues:
    """Single values, read strictly: nothing is converted that YAML has not."""

    @pytest.mark.parametrize(
        ("read", "written", "value"),
        [
            (text, "'5'", "5"),
            (text, "''", ""),
            (boolean, "off", False),
            (integer(-5, 5), "-5", -5),
            (integer(0, 255), "0xff", 255),
            (seconds(10), "10", 10 * SECOND),
            (seconds(10), "0.12", 120 * MILLISECOND),
            (one_of("ok", "timeout"), "timeout", "timeout"),
        ],
    )
    def test_right_value_is_read(self, read: Callable[[Place], object], written: str, value: object) -> None:
        """Limits are included, and seconds become nanoseconds, exactly."""
        reading = Reading(f"[{written}]")
        assert read(reading.top.at(0)) == value
        assert reading.faults == []

    @pytest.mark.parametrize(
        ("read", "written", "fault"),
        [
            (text, "5", "must be text (quote it), not 5"),
            (text, "yes", "must be text (quote it), not true"),
            (text, "~", "must be text (quote it), not nothing"),
            (text, "{}", "must be text, not a mapping"),
            (boolean, "1", "must be true or false, not 1"),
            (boolean, "'true'", "must be true or false, not 'true'"),
            (integer(0, 5), "6", "must be a whole number from 0 to 5, not 6"),
            (integer(0, 5), "1.0", "must be a whole number from 0 to 5, not 1.0"),
            (integer(0, 5), "true", "must be a whole number from 0 to 5, not true"),
            (
                integer(0, 5),
                f"0x{'f' * 9000}",
                "must be a whole number from 0 to 5, not a number too big to show",
            ),
            (integer(0, 5), "x" * 60, f"must be a whole number from 0 to 5, not '{'x' * 40}'..."),
            (seconds(10), "-0.1", "must be a number of seconds from 0 to 10, not -0.1"),
            (seconds(10), "10.1", "must be a number of seconds from 0 to 10, not 10.1"),
            (seconds(10), ".nan", "must be a number of seconds from 0 to 10, not nan"),
            (seconds(10), "true", "must be a number of seconds from 0 to 10, not true"),
            (
                seconds(10),
                f"0x{'f' * 9000}",
                "must be a number of seconds from 0 to 10, not a number too big to show",
            ),
            (
                one_of("ok", "timeout"),
                "timout",
                "must be one of ok, timeout, not 'timout'; did you mean 'timeout'?",
            ),
            (one_of("ok", "timeout"), "[ok]", "must be one of ok, timeout, not a list"),
        ],
    )
    def test_wrong_value_is_told(self, read: Callable[[Place], object], written: str, fault: str) -> None:
        """With what it is, and what it has to be."""
        reading = Reading(f"[{written}]")
        read(reading.top.at(0))
        assert reading.faults == [f"1: $[0]: {fault}"]
