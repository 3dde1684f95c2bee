# SPDX-License-Identifier: GPL-2.0-only
"""The other output formats: json, yaml, name, custom columns, sorting, and tab stops."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import TYPE_CHECKING, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emu.document import parse
from emu.errors import CommandError
from emu.kube.tables.formats import columns, document, sorting, value
from emu.kube.tables.formats.tabs import align

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json

POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-1", "labels": {"app": "web"}, "managedFields": [{"manager": "kubectl"}]},
    "spec": {"containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "busybox"}]},
}
PATH_FORMS = (
    "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' "
    "or '{.name1.name2}'"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


class TestYaml:
    """`-o yaml`."""

    def test_is_laid_out_as_kubectl_does(self) -> None:
        """Keys are sorted, lists stand under their key without indent, empty ones are in brackets."""
        manifest: Json = {
            "kind": "Service",
            "apiVersion": "v1",
            "spec": {"ports": [{"port": 80, "name": "http"}], "selector": {}, "externalIPs": []},
        }
        assert document.yaml_text(manifest) == dedent(
            """\
            apiVersion: v1
            kind: Service
            spec:
              externalIPs: []
              ports:
              - name: http
                port: 80
              selector: {}
            """
        )

    def test_parts_that_were_read_from_a_file_are_written_like_any(self) -> None:
        """Mappings and lists that know their lines are written as plain ones are."""
        text = "env:\n- name: IP\n  valueFrom:\n    fieldRef:\n      fieldPath: status.podIP\n"
        (read,) = parse(text, "pod.yaml")
        assert document.yaml_text(cast("Json", read.value)) == text

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("nginx", "nginx"),
            ("true", '"true"'),
            ("yes", '"yes"'),
            ("n", '"n"'),
            ("80", '"80"'),
            ("0x1f", '"0x1f"'),
            ("1e3", '"1e3"'),
            ("1.5", '"1.5"'),
            ("10:30", '"10:30"'),
            ("null", '"null"'),
            ("~", '"~"'),
            ("", '""'),
            ("2025-01-01T00:00:00Z", '"2025-01-01T00:00:00Z"'),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.0/24", "10.0.0.0/24"),
            ("80/TCP", "80/TCP"),
            ("a: b", "'a: b'"),
            ("*", "'*'"),
            ("- a", "'- a'"),
            ("#x", "'#x'"),
            ("é", "é"),
            ("250m", "250m"),
            ("1Gi", "1Gi"),
        ],
    )
    def test_quotes_text_where_needed(self, text: str, written: str) -> None:
        """Double quotes where it would be something else, single ones where a sign has a meaning."""
        assert document.yaml_text({"a": text}) == f"a: {written}\n"

    def test_writes_lines_as_a_block(self) -> None:
        """Text of several lines keeps them."""
        assert document.yaml_text({"a": "x\ny\n"}) == "a: |\n  x\n  y\n"
        assert document.yaml_text({"a": "x\ny"}) == "a: |-\n  x\n  y\n"

    def test_sorts_keys_as_people_do(self) -> None:
        """Digits in keys count as numbers, other signs come before letters."""
        keys = ["b", "a10", "a2", "a-b", "ab", "a.b", "a/b", "A", "a02"]
        written = document.yaml_text(dict.fromkeys(keys, 1))
        assert [line.split(":")[0] for line in written.splitlines()] == [
            "A", "a-b", "a.b", "a/b", "a2", "a02", "a10", "ab", "b",
        ]  # fmt: skip

    @given(VALUES)
    def test_loads_back_as_it_was(self, manifest: Json) -> None:
        """Whatever is written is read again as the same value."""
        assert yaml.safe_load(document.yaml_text({"value": manifest})) == {"value": manifest}


class TestJson:
    """`-o json`."""

    def test_has_four_blanks_a_level(self) -> None:
        """Keys are sorted, and signs of HTML are escaped as Go does."""
        assert document.json_text({"b": [1, {}], "a": "<é>", "c": []}) == dedent(
            """\
            {
                "a": "\\u003cé\\u003e",
                "b": [
                    1,
                    {}
                ],
                "c": []
            }
            """
        )

    @given(VALUES)
    def test_loads_back_as_it_was(self, manifest: Json) -> None:
        """Whatever is written is read again as the same value."""
        assert json.loads(document.json_text(manifest)) == manifest

    def test_several_objects_are_a_list(self) -> None:
        """They are the items of a List of version v1."""
        assert document.several([POD]) == {
            "apiVersion": "v1",
            "kind": "List",
            "items": [POD],
            "metadata": {"resourceVersion": ""},
        }

    def test_managed_fields_are_left_out(self) -> None:
        """Who set which field is not shown; the object itself is not changed."""
        shown = document.without_managed_fields(POD)
        assert isinstance(shown, dict)
        assert shown["metadata"] == {"name": "web-1", "labels": {"app": "web"}}
        assert isinstance(POD, dict)
        assert "managedFields" in str(POD["metadata"])


@pytest.mark.parametrize(
    ("version", "kind", "name"),
    [("v1", "Pod", "pod/x"), ("apps/v1", "Deployment", "deployment.apps/x")],
)
def test_names_have_kind_and_group(version: str, kind: str, name: str) -> None:
    """The core group is not written."""
    assert document.name({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}) == name


class TestCustomColumns:
    """`-o custom-columns`."""

    def test_are_a_table(self) -> None:
        """Headers stay as written, lists are joined by commas, what is missing is `<none>`."""
        spec = "Name:.metadata.name,IMAGES:{.spec.containers[*].image},N:.nope,L:metadata.labels"
        assert columns.render(spec, [POD]) == dedent(
            """\
            Name    IMAGES          N        L
            web-1   nginx,busybox   <none>   map[app:web]
            """
        )

    def test_can_be_without_headers(self) -> None:
        """`--no-headers` leaves the rows."""
        assert columns.render("N:.metadata.name", [POD], headers=False) == "web-1\n"

    def test_of_nothing_are_the_headers(self) -> None:
        """An empty list still has its header line."""
        assert columns.render("NAME:.metadata.name,X:.x", []) == "NAME   X\n"

    @pytest.mark.parametrize(
        ("spec", "complaint"),
        [
            ("NOPE", "unexpected custom-columns spec: NOPE, expected <header>:<json-path-expr>"),
            ("", "custom-columns format specified but no custom columns given"),
            (
                "A:{.a}{.b}",
                PATH_FORMS,
            ),
        ],
    )
    def test_that_are_wrong_are_refused(self, spec: str, complaint: str) -> None:
        """Kubectl's words say what is expected."""
        with pytest.raises(CommandError) as caught:
            columns.render(spec, [POD])
        assert str(caught.value) == complaint


class TestSorting:
    """`--sort-by`."""

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (["web-10", "web-2", "api"], ["api", "web-2", "web-10"]),
            ([3, 1, 2], [1, 2, 3]),
            (["1Gi", "512Mi", "2G"], ["512Mi", "1Gi", "2G"]),
            (["1", "500m", "2k", "1e3"], ["500m", "1", "1e3", "2k"]),
            (["b", None, "a"], [None, "a", "b"]),
            ([[2, 1], [1, 9]], [[1, 9], [2, 1]]),
            (["a1", "a-1"], ["a-1", "a1"]),
        ],
    )
    def test_follows_numbers_quantities_and_names(self, before: list[Json], after: list[Json]) -> None:
        """Numbers, quantities, and names with numbers in them sort as people expect."""
        items: list[Json] = [{"x": each} for each in before]
        assert sorting.sort(items, ".x", lambda item: item) == [{"x": each} for each in after]

    def test_puts_missing_fields_first_and_keeps_equal_ones(self) -> None:
        """Objects without the field come first, equal ones in the order they had."""
        items: list[Json] = [{"x": 1, "n": 1}, {"n": 2}, {"x": 1, "n": 3}]
        numbers = [
            item["n"] for item in sorting.sort(items, "{.x}", lambda item: item) if isinstance(item, dict)
        ]
        assert numbers == [2, 1, 3]

    def test_needs_a_field_that_is_there(self) -> None:
        """A path that finds nothing in any object is refused."""
        with pytest.raises(CommandError) as caught:
            sorting.sort([POD], ".nope", lambda item: item)
        assert str(caught.value) == 'couldn\'t find any field with path "{.nope}" in the list of objects'

    def test_refuses_what_has_no_order(self) -> None:
        """Maps cannot be compared."""
        with pytest.raises(CommandError, match="unsortable type"):
            sorting.sort([POD, POD], ".metadata", lambda item: item)


class TestTabs:
    """Go's tab stops."""

    def test_columns_end_where_a_line_has_no_cell(self) -> None:
        """A line without the cell ends a column, and the next begins anew."""
        assert align(["a:\tb", "long name:\tc", "x", "a:\tb"]) == "a:          b\nlong name:  c\nx\na:  b\n"

    def test_empty_cells_are_blanks(self) -> None:
        """A column of empty cells is as wide as its padding."""
        assert align(["a\t\tb", "aa\t\tb"]) == "a     b\naa    b\n"

    def test_tables_have_a_least_width(self) -> None:
        """Six signs at least, three of them behind the widest cell; the last cell is not padded."""
        assert align(["A\tB\tC", "abcd\té\tx"], least=6, padding=3) == "A      B     C\nabcd   é     x\n"


CELLS = st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"]), max_size=9)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_full_tables_are_padded_to_the_widest_cell(rows: list[tuple[str, str, str]]) -> None:
    """Where each line has each cell, a column is as wide as its widest cell and three."""
    widths = [max(6, 3 + max(len(row[column]) for row in rows)) for column in (0, 1)]
    wanted = "".join(f"{one.ljust(widths[0])}{two.ljust(widths[1])}{last}\n" for one, two, last in rows)
    assert align(["\t".join(row) for row in rows], least=6, padding=3) == wanted


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.5, "1.5"),
        (2.0, "2"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-4, "0.0001"),
        (1e-7, "1e-07"),
        (float("inf"), "+Inf"),
    ],
)
def test_floats_print_as_in_go(number: float, text: str) -> None:
    """The shortest digits that are enough, with an exponent only for the very large and small."""
    assert value.plain(number) == text
