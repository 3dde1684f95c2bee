# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cluster.network.checks import Checks
from emu.cluster.network.reader import load_network, read_network
from emu.document import MappingNode, SequenceNode, Value, load, parse, scan
from emu.errors import DocumentError

SCENARIOS = sorted((Path(__file__).parents[3] / "golden" / "scenarios").glob("*/scenario.yaml"))

FAULTY = Path(__file__).with_name("faulty.yaml")
MARK = "#! "

CHECKS = Checks(
    command=lambda argv: None if argv[:1] == ("ip",) else f"there is no command {' '.join(argv)!r}",
    sysctl=lambda name, value: f"cannot be {value}" if name == "net.ipv4.nothing" else None,
    rules=lambda kind, text: [(2, f"is no {kind} rule: {text.splitlines()[1]}")],
)


def told(document: Path, checks: Checks | None = None) -> list[str]:
    """Return all faults of a document, a line each."""
    with pytest.raises(DocumentError) as refused:
        load_network(document, checks or Checks())
    return str(refused.value).splitlines()


def test_every_fault_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than eighty different ones in a single reading, and nothing that only follows from them."""
    monkeypatch.chdir(tmp_path)
    document = Path("faulty.yaml")
    document.write_text(FAULTY.read_text())
    Path("bad.rules").write_text("*filter\n-A NOWHERE\nCOMMIT\n")
    expected = ["bad.rules:2: $.iptables.node9: is no iptables rule: -A NOWHERE"]
    faulty_line = 0
    for number, line in enumerate(FAULTY.read_text().splitlines(), start=1):
        if line.startswith(MARK):
            expected.append(f"faulty.yaml:{faulty_line}: {line.removeprefix(MARK)}")
        else:
            faulty_line = number
    assert told(document, CHECKS) == expected
    assert len(expected) > 80


class TestWholeDocument:
    """What a file has to hold."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", ":1: $: has to be one document with the key namespaces and without the key kind"),
            ("[]", ":1: $: has to be one document"),
            ("a: 1\na: 2\n", ":1: $: has to be one document"),
            ("namespaces: {}\nkind: Cluster\n", ":1: $: has to be one document"),
            ("namespaces: {}\ncaptures: []\n---\nnamespaces: {}\n", ":4: $: has to be one document"),
            ("namespaces: {a: {}}\n", ":1: $: lacks captures"),
            ("namespaces: {}\ncaptures: []\n", ":1: $.namespaces: there has to be one namespace at least"),
            (
                "\n\nnamespaces: []\ncaptures: []\n",
                ":3: $.namespaces: must be a mapping of names to namespaces",
            ),
            ("namespaces: {a: {}}\ncaptures: []\nlinks: {}\n", ":3: $.links: must be a list, not a mapping"),
        ],
    )
    def test_other_documents_are_refused(self, tmp_path: Path, text: str, message: str) -> None:
        """With the line of what is not expected."""
        document = tmp_path / "scenario.yaml"
        document.write_text(text)
        assert told(document)[0].removeprefix(str(document)).startswith(message)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"\xff", "it is not UTF-8 text"), (None, "it is no plain file")],
    )
    def test_rules_file_that_is_no_text_is_refused(
        self, tmp_path: Path, content: bytes | None, reason: str
    ) -> None:
        """Octets that are no text, folders, pipes."""
        if content is None:
            (tmp_path / "x.rules").mkdir()
        else:
            (tmp_path / "x.rules").write_bytes(content)
        document = tmp_path / "scenario.yaml"
        document.write_text("namespaces: {a: }\ncaptures: []\nnft: {a: x.rules}\n")
        (fault,) = told(document)
        assert fault.endswith(f":3: $.nft.a: '{tmp_path / 'x.rules'}' cannot be read: {reason}")


@cache
def recorded(index: int) -> tuple[Path, str]:
    """Return the folder and the JSON text of a recorded scenario."""
    path = SCENARIOS[index]
    (document,) = load(path)
    return path.parent, json.dumps(document.value)


def places(value: Value) -> list[tuple[MappingNode | SequenceNode, str | int]]:
    """Return every place in `value` where another value could stand."""
    found: list[tuple[MappingNode | SequenceNode, str | int]] = []
    if isinstance(value, MappingNode):
        found += [(value, key) for key in value]
    if isinstance(value, SequenceNode):
        found += [(value, index) for index in range(len(value))]
    for container, key in tuple(found):
        inner = container[key]  # type: ignore[index]  # the key is of the container's kind
        found += places(inner)
    return found


class TestAnyInput:
    """Whatever is read, it is a network or a list of faults."""

    @given(text=st.text() | st.binary() | st.text(alphabet="namespces:{}[]- \n'01/&*<", max_size=80))
    def test_any_text_is_a_network_or_faults(self, text: str | bytes) -> None:
        """No other exception gets out."""
        with suppress(DocumentError):
            for document in scan(text, "f"):
                read_network(document, Path())

    @given(
        index=st.integers(0, len(SCENARIOS) - 1),
        place=st.integers(0, 10_000),
        junk=st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from(
            ["", "lo", "10.0.0.1", "10.0.0.0/8", "node1", "node1/eth0", "default", "../..", "\0"]
        )
        | st.lists(st.text() | st.integers(), max_size=3)
        | st.dictionaries(st.text(), st.integers() | st.text(), max_size=3),
    )
    def test_spoilt_scenario_is_a_network_or_faults(self, index: int, place: int, junk: object) -> None:
        """Any one value of a right document, replaced by anything."""
        folder, text = recorded(index)
        (document,) = parse(text, "f")
        (stranger,) = parse(json.dumps([junk]), "f")
        assert isinstance(stranger.value, SequenceNode)
        choices = places(document.value)
        container, key = choices[place % len(choices)]
        container[key] = stranger.value[0]  # type: ignore[index]  # the key is of the container's kind
        try:
            read_network(document, folder)
        except DocumentError as error:
            assert all(fault.line == 1 for fault in error.faults)  # noqa: PT017 (either outcome is right)
