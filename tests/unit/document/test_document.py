# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import gc
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emu.document import MappingNode, SequenceNode, Value, builder, load, parse, reading, scan
from emu.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCENARIOS = sorted((Path(__file__).parents[2] / "golden" / "scenarios").glob("*/scenario.yaml"))


def only(text: str | bytes) -> Value:
    """Return the value of the one document in `text`."""
    (found,) = parse(text, "file.yaml")
    return found.value


def faults(text: str | bytes) -> Sequence[str]:
    """Return what is wrong with `text`, a line each."""
    with pytest.raises(DocumentError) as refused:
        parse(text, "file.yaml")
    return str(refused.value).splitlines()


class TestScalars:
    """Plain scalars are those of YAML 1.1, less two rules."""

    @pytest.mark.parametrize(
        "text",
        [
            *("yes", "No", "ON", "off", "true", "FALSE", "y", "n", "~", "null", "Null", "nULL", "''"),
            *("0", "-1", "+7", "0755", "08", "0x1F", "0b101", "1_000", "1e3", "1.5", ".5", "-0.0", "1.e+3"),
            *("5.", ".inf", "-.INF", "10.0.0.1", "10.0.0.0/8", "text", "'yes'", '"0755"', "+", "."),
            *("1__2", "0x", "0b2", "0o17", "1.2.3", "!!str 12", "!!int '12'", "!!bool 'no'"),
            *("!!float 1", "! 12", "|\n a\n b", ">\n a\n b", '"\\u00e9"', "'it''s'", "a b", "0_", "0x_f"),
        ],
    )
    def test_scalar_means_what_pyyaml_reads(self, text: str) -> None:
        """The value and its type are those of PyYAML's `safe_load`."""
        value = only(f"key: {text}\n")
        assert isinstance(value, MappingNode)
        expected = yaml.safe_load(f"key: {text}\n")["key"]
        assert (value["key"], type(value["key"])) == (expected, type(expected))

    @pytest.mark.parametrize(
        "text",
        ["12:34:56:12:34:56", "190:20:30", "1:30.5", "2026-01-01", "2026-01-01T10:00:00Z", "0x_", "0b_"],
    )
    def test_mac_address_and_date_stay_text(self, text: str) -> None:
        """What YAML 1.1 takes for a number to the base of 60 or a date is what was written."""
        assert only(f"key: {text}") == {"key": text}

    def test_number_with_more_digits_than_python_converts_stays_text(self) -> None:
        """No text can make the reading slow or fail by its digits."""
        digits = "1" * 5000
        assert only(f"[{digits}]") == [digits]

    def test_key_is_the_text_that_was_written(self) -> None:
        """A key is never a number or a truth value."""
        assert only("{on: 1, 0755: 2, ~: 3, 1.0: 4}") == {"on": 1, "0755": 2, "~": 3, "1.0": 4}


class TestLines:
    """Every entry knows its line."""

    def test_mapping_knows_the_line_of_each_key(self) -> None:
        """Also where the value begins on another line."""
        value = only("a: 1\nb:\n  - x\n  -\n    y\nc: {d: 1,\n  e: 2}\n")
        assert isinstance(value, MappingNode)
        assert [value.line_of(key) for key in "abc"] == [1, 2, 6]
        inner = value["c"]
        assert isinstance(inner, MappingNode)
        assert (inner.line, inner.line_of("d"), inner.line_of("e"), inner.line_of("gone")) == (6, 6, 7, 6)

    def test_sequence_knows_the_line_of_each_element(self) -> None:
        """An element's line is where it begins, not where its dash is."""
        value = only("- x\n-\n  y\n- [1,\n  2]\n")
        assert isinstance(value, SequenceNode)
        assert value.lines == [1, 3, 4]

    def test_document_knows_where_it_begins(self) -> None:
        """Lines go on from one document to the next."""
        first, second = parse("# one\na: 1\n---\n# two\nb: 2\n", "f")
        assert (first.line, second.line) == (2, 5)
        assert isinstance(second.value, MappingNode)
        assert second.value.line_of("b") == 5

    def test_containers_are_plain_dict_and_list(self) -> None:
        """So `json` and everybody else takes them."""
        assert json.dumps(only("{a: [1, {b: null}]}")) == '{"a": [1, {"b": null}]}'


class TestStreams:
    """What a file may hold."""

    @pytest.mark.parametrize(
        "text", ["", "\n", "# nothing\n", "---\n---\n...\n# c\n", "~", b"\xef\xbb\xbf", "\ufeff"]
    )
    def test_nothing_is_no_document(self, text: str | bytes) -> None:
        """Empty documents are passed over."""
        assert parse(text, "f") == ()

    @pytest.mark.parametrize(
        "octets",
        [
            b"\xef\xbb\xbfa: 1\r\nb: [x,\r\n y]\r\n",
            "\ufeffa: 1\r\nb: [x, y]".encode("utf-16-le"),
            "\ufeffa: 1\nb: [x, y]".encode("utf-16-be"),
            b'{"a": 1,\n\t"b": ["x", "y"]}',
        ],
    )
    def test_marks_line_ends_encodings_and_json_are_read(self, octets: bytes) -> None:
        """What editors on Windows and JSON writers make is the same document."""
        assert only(octets) == {"a": 1, "b": ["x", "y"]}

    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=50), inner),
        )
    )
    def test_json_with_escapes_is_itself(self, value: object) -> None:
        """Any JSON text without exponents is read as `json` reads it."""
        text = json.dumps([value], indent=1)
        assert only(text) == json.loads(text)

    def test_pure_python_parser_reads_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """PyYAML without its C part is slower, not different."""
        text = SCENARIOS[0].read_text()
        fast = parse(text, "f")
        monkeypatch.delattr(yaml, "CSafeLoader")
        assert parse(text, "f") == fast

    @pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
    def test_recorded_scenario_is_read_as_pyyaml_reads_it(self, path: Path) -> None:
        """The same values in the same order."""
        (found,) = load(path)
        assert json.dumps(found.value) == json.dumps(yaml.safe_load(path.read_text()))


class TestAnchors:
    """Aliases and merge keys."""

    def test_alias_is_the_value_of_its_anchor(self) -> None:
        """Scalars and containers, also as keys."""
        assert only("a: &x 1\nb: &y [*x]\nc: *y\nd: &k name\n*k : 2") == {
            "a": 1,
            "b": [1],
            "c": [1],
            "d": "name",
            "name": 2,
        }

    @pytest.mark.parametrize(
        "text",
        [
            "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3, c: 4}",
            "x: &x {a: 1, b: 2}\nz: &z {b: 5, d: 6}\ny: {c: 4, <<: [*x, *z]}",
            "y: {<<: {a: 1}, '<<': 2}",
            "x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nz: {<<: *y}",
        ],
    )
    def test_merge_key_adds_what_is_missing(self, text: str) -> None:
        """In the order and with the precedence of PyYAML."""
        assert json.dumps(only(text)) == json.dumps(yaml.safe_load(text))

    def test_merged_key_has_the_line_of_its_anchor(self) -> None:
        """A fault in a merged value is where that value was written."""
        value = only("x: &x\n  a: 1\ny:\n  <<: *x\n  b: 2\n")
        assert isinstance(value, MappingNode)
        merged = value["y"]
        assert isinstance(merged, MappingNode)
        assert (merged.line_of("a"), merged.line_of("b")) == (2, 5)


class TestFaults:
    """What is wrong is told with its line and place."""

    def test_all_faults_of_structure_are_told(self) -> None:
        """Duplicate keys, unknown anchors and tags, and keys that are no text."""
        text = (
            "a: 1\n"
            "b: {c: [1, {x: 2, x: 3}]}\n"
            "a: 2\n"
            "? [1, 2]\n"
            ": 3\n"
            "d: *nowhere\n"
            "e: !colour red\n"
            "f: &f [*f]\n"
            "g: {<<: 5}\n"
            "h: !!int five\n"
            "net.ipv4: {y: 1, y: 2}\n"
            "i: !!set {j}\n"
        )
        assert faults(text) == [
            "file.yaml:2: $.b.c[1].x: duplicate key (first on line 2)",
            "file.yaml:3: $.a: duplicate key (first on line 1)",
            "file.yaml:4: $: a key has to be text",
            "file.yaml:6: $.d: there is no &nowhere before this (nor can it stand inside itself)",
            "file.yaml:7: $.e: the tag !colour is not supported",
            "file.yaml:8: $.f[0]: there is no &f before this (nor can it stand inside itself)",
            "file.yaml:9: $.g.<<: takes a mapping or a list of mappings",
            "file.yaml:10: $.h: 'five' is no int",
            "file.yaml:11: $['net.ipv4'].y: duplicate key (first on line 11)",
            "file.yaml:12: $.i: the tag !!set is not supported",
        ]

    def test_merge_key_can_stand_once(self) -> None:
        """As any other key."""
        assert faults("y:\n  <<: {a: 1}\n  <<: {b: 2}\n") == ["file.yaml:3: $.y.<<: duplicate key"]

    @pytest.mark.parametrize("loader", ["C", "Python"])
    def test_half_a_character_is_refused(self, monkeypatch: pytest.MonkeyPatch, loader: str) -> None:
        """An escape of half a pair could never be written out again."""
        if loader == "Python":
            monkeypatch.delattr(yaml, "CSafeLoader")
        (fault,) = faults('a: 1\nb: "\\ud800"\n')
        assert fault.startswith("file.yaml:2: $")

    def test_faulty_document_can_be_read_on(self) -> None:
        """`scan` gives the value and the faults, so that a reader can tell its own with them."""
        first, second = scan("a: 1\na: 2\n---\nb: 3\n", "f")
        assert (first.value, len(first.faults)) == ({"a": 2}, 1)
        assert (second.value, second.faults) == ({"b": 3}, ())

    def test_anchor_ends_with_its_document(self) -> None:
        """No document can refer to another one."""
        assert len(faults("a: &x 1\n---\nb: *x\n")) == 1

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("a: [1\nb: 2\n", 2),
            ("a: 1\n b: 2\n", 2),
            ("a: 1\n\tb: 2\n", 2),
            ("a: 'x\n", 2),
            ("a: 1\nb: \x00\n", 2),
            (b"a: 1\n\nb: \xff\n", 3),
            ("a: 1\nb: \ud800\n", 2),
            (b"\x89PNG\r\n\x1a\n", 1),
            (b"\xff\xfea", 1),
            ("%YAML 3.0\n---\na: 1\n", 1),
            ("a: 1\na: 2\nb: [\n", 2),
        ],
    )
    def test_what_is_no_yaml_is_told_with_its_line(self, text: str | bytes, line: int) -> None:
        """One clear fault, and those before it."""
        assert faults(text)[0].startswith(f"file.yaml:{line}: $")

    def test_file_that_cannot_be_read_is_told(self, tmp_path: Path) -> None:
        """A missing file and a folder are faults like others."""
        for path in (tmp_path / "missing.yaml", tmp_path):
            with pytest.raises(DocumentError, match="cannot be read: "):
                load(path)

    @given(text=st.text() | st.binary() | st.text(alphabet="{}[]:,-&*!<> \n'\"#|ab1", max_size=60))
    def test_any_input_is_a_document_or_faults(self, text: str | bytes) -> None:
        """Nothing else ever comes out."""
        with suppress(DocumentError):
            assert all(found.value is not None for found in parse(text, "f"))


class TestLimits:
    """What a hostile text can cost is bounded."""

    def test_aliases_of_aliases_are_stopped(self) -> None:
        """A few lines that stand for billions of values are refused."""
        lines = ["a0: &a0 [x, x]"]
        lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
        (fault,) = faults("\n".join(lines))
        assert fault.endswith("values (aliases count each time)")

    def test_merges_of_merges_are_stopped(self) -> None:
        """Merge keys count as the aliases that they are."""
        lines = ["a0: &a0 {x: 1, y: 2}"]
        lines += [f"a{i}: &a{i} {{k{i}: 0, <<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 30)]
        assert faults("\n".join(lines))[0].endswith("values (aliases count each time)")

    @pytest.mark.parametrize("text", ["[" * 5000, "- " * 5000, "{a: " * 5000])
    def test_depth_is_bounded(self, text: str) -> None:
        """Before anything recursive could fail."""
        assert faults(text) == ["file.yaml:1: $: is nested deeper than 100 levels"]

    def test_size_is_bounded(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A text that is too long is not even parsed; a file is read up to the limit."""
        monkeypatch.setattr(reading, "MAX_OCTETS", 1024 * 1024)
        assert faults("a" * (1024 * 1024 + 1)) == ["file.yaml:1: $: is longer than 1 MiB"]
        big = tmp_path / "big.yaml"
        big.write_bytes(b"#" * (2 * 1024 * 1024))
        with pytest.raises(DocumentError, match="is longer than 1 MiB"):
            load(big)

    def test_number_of_values_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Plain values count too."""
        monkeypatch.setattr(builder, "MAX_VALUES", 10)
        assert parse("[1, 2, 3, 4, 5, 6, 7, 8, 9]", "f")
        assert faults("[1, 2, 3, 4, 5, 6, 7, 8, 9,\n 10]")[0].startswith("file.yaml:2: $: holds more than 10")

    @pytest.mark.parametrize("was_on", [True, False])
    def test_big_text_leaves_the_garbage_collector_as_it_was(self, *, was_on: bool) -> None:
        """It pauses while a big tree grows."""
        before = gc.isenabled()
        try:
            (gc.enable if was_on else gc.disable)()
            assert parse("# " + "x" * 1_000_001 + "\n[1]", "f")[0].value == [1]
            assert gc.isenabled() is was_on
        finally:
            (gc.enable if before else gc.disable)()

    def test_number_of_faults_is_bounded(self) -> None:
        """Who has a thousand has another kind of file."""
        told = faults("a: 1\n" * 2_000)
        assert len(told) == 1001
        assert "file.yaml:1001: $: has too many faults to tell them all" in told
