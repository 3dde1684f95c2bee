# SPDX-License-Identifier: GPL-2.0-only
"""Reading probes: two forms, and every fault at once."""

from __future__ import annotations

import json

import pytest

from emu.errors import DocumentError
from emu.verify.probing.probe import Probe, read_probes

GOOD = {"id": "1", "from": "a", "to": "b", "port": 80, "protocol": "udp", "via": "service", "payload": 9}


def faults(text: str) -> list[tuple[int, str]]:
    """Return line and path of what is wrong with a text."""
    with pytest.raises(DocumentError) as caught:
        read_probes("p", text)
    return [(fault.line, fault.path) for fault in caught.value.faults]


@pytest.mark.parametrize("text", [json.dumps([GOOD, GOOD]), f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}\n"])
def test_a_list_and_lines_are_read_alike(text: str) -> None:
    """Also from `jq -c`."""
    probe, other = read_probes("p", text)
    assert (probe.id, probe.source, probe.target, probe.port) == ("1", "a", "b", 80)
    assert (probe.protocol, probe.via_service, probe.payload, probe.listens) == ("UDP", True, 9, False)
    assert probe.place[2] == "$[0]"
    assert other.place[2] == "$[1]"


def test_nothing_is_asked_by_an_empty_list() -> None:
    """Nor by an empty file."""
    assert read_probes("p", " [ ]\n") == read_probes("p", "\n") == []


def test_a_probe_of_one_node_has_its_place() -> None:
    """The node, and the device, null for what the node sends itself."""
    text = json.dumps([{"at": "node/n", "iif": None, "from": "1.2.3.4", "to": "5.6.7.8", "port": 53}])
    [probe] = read_probes("p", text, listen_all=True)
    wanted = Probe("1", "1.2.3.4", "5.6.7.8", 53, listens=True, at="node/n", place=("p", 1, "$[0]"))
    assert probe == wanted


def test_all_faults_are_told_with_line_and_path() -> None:
    """Of keys, values and whole elements."""
    text = """[{"from": "a", "to": "", "port": 0},
      7,
      {"id": [], "from": 1, "to": "b", "protocol": "ipx", "via": "air", "listen": 1, "payload": -1, "bar": 1},
      {"from": "a", "to": "b", "port": 1, "protocol": "ICMP"}]"""
    assert faults(text) == [
        (1, "$[0].port"),
        (1, "$[0].to"),
        (2, "$[1]"),
        (3, "$[2].bar"),
        (3, "$[2].from"),
        (3, "$[2].id"),
        (3, "$[2].listen"),
        (3, "$[2].payload"),
        (3, "$[2].protocol"),
        (3, "$[2].via"),
        (4, "$[3].port"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [('[{"from": "a",\n oops}]', 2), ('[{"from": "a", "to": "b"}', 1), ("[1] [2]", 1), ("[" * 100_000, 1)],
)
def test_what_is_no_json_is_said(text: str, line: int) -> None:
    """With the line; depth is bounded."""
    assert faults(text)[0][0] == line
