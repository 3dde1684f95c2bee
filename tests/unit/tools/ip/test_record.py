# SPDX-License-Identifier: GPL-2.0-only
"""One object as text and as JSON in iproute2's own style."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from emu.tools.ip.options import Options
from emu.tools.ip.record import Literal, Record, dumps, render

if TYPE_CHECKING:
    from emu.tools.ip.record import Json

VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.booleans())
def test_what_is_written_is_json(value: Json, pretty: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever its style, any reader understands it."""
    assert json.loads(dumps(value, pretty=pretty)) == value


def test_pretty_json_breaks_lines_at_fields_only() -> None:
    """Arrays stay on a line, with blanks inside their brackets."""
    value: Json = [{"a": 1, "flags": ["UP", "LOWER_UP"], "none": [], "inner": {"b": None}}, {}]
    assert dumps(value, pretty=True).splitlines() == [
        "[ {",
        '        "a": 1,',
        '        "flags": [ "UP","LOWER_UP" ],',
        '        "none": [ ],',
        '        "inner": {',
        '            "b": null',
        "        }",
        "    },{} ]",
    ]
    assert dumps(value) == '[{"a":1,"flags":["UP","LOWER_UP"],"none":[],"inner":{"b":null}},{}]'
    assert dumps([Literal("0.00")]) == "[0.00]"


def test_a_field_goes_to_the_text_and_to_json() -> None:
    """Some things are for one of the two alone."""
    record = Record()
    record.put("ifname", "eth0", "eth0: ")
    record.put_number("mtu", 1500)
    record.put_number("num", 2, "queues")
    record.put_switch("flood", value=True)
    record.put_switch("guard", value=False, word="bpdu_guard")
    record.show("\n")
    record.keep("group", "default")
    assert record.text == "eth0: mtu 1500 queues 2 flood on bpdu_guard off \n"
    assert record.fields == {
        "ifname": "eth0",
        "mtu": 1500,
        "num": 2,
        "flood": True,
        "guard": False,
        "group": "default",
    }
    record.show("rule ")
    record.end()
    assert record.text.endswith("rule\n")


def test_on_one_line_a_backslash_stands_for_the_end_of_one() -> None:
    """The last end stays; nothing stays nothing."""
    record = Record()
    record.show("a\n    b\n")
    assert render([record, Record()], Options(oneline=True)) == "a\\    b\n"
    assert render([record, Record()], Options(json=True)) == "[{},{}]\n"
    assert render([], Options(json=True)) == "[]\n"
    assert render([], Options()) == ""
