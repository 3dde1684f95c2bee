# SPDX-License-Identifier: GPL-2.0-only
"""The pages of docs/reference say what the code does."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import pytest

from emu import cli
from emu.cluster.network import actions
from emu.cluster.network.action_reader import KINDS
from emu.cluster.network.build import BASE_SYSCTLS
from emu.cluster.network.lab import load
from emu.cluster.network.reader import read_network
from emu.document import parse
from emu.document.fields import Fields
from emu.errors import DocumentError
from emu.verify import report
from emu.verify.verdict import Result, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.cluster.network.model import NetworkDocument

ROOT: Final = Path(__file__).parents[4]
PAGE: Final = (ROOT / "docs/reference/network-document.md").read_text(encoding="utf-8")
TRACE_PAGE: Final = (ROOT / "docs/reference/trace-json.md").read_text(encoding="utf-8")
COMMON: Final = "Any action"

_HEAD: Final = "namespaces: {a: {}, b: {}}\ncaptures: [a/eth0]\n%s\n"
_LINK: Final = (
    'links: [{a: {ns: a, if: eth0, mac: "02:00:00:00:00:01"%s},'
    ' b: {ns: b, if: eth0, mac: "02:00:00:00:00:02"%s}}]\n'
)
_PLAIN: Final = _HEAD % (_LINK % ("", "")) + "%s"
_BRIDGE: Final = 'ns: b, if: br0, mac: "02:00:00:00:00:03", ports: [{if: eth0%s}]'
_VXLAN: Final = 'ns: a, if: vx0, mac: "02:00:00:00:00:04", vni: 1, local: 10.0.0.1, dev: eth0'

SAMPLES: Final = {
    "Top level": _HEAD % (_LINK % ("", "")) + "%s",
    "namespace": "namespaces: {a: {%s}}\ncaptures: []\n",
    "link": _PLAIN,
    "end": _HEAD % (_LINK % ("%s", "")),
    "bridge": _PLAIN % f"bridges: [{{{_BRIDGE % ''}%s}}]",
    "port": _PLAIN % f"bridges: [{{{_BRIDGE}}}]",
    "vxlan": _PLAIN % f"vxlans: [{{{_VXLAN}%s}}]",
    "fdb": _PLAIN % f'vxlans: [{{{_VXLAN}, fdb: [{{mac: "02:00:00:00:00:05", dst: 10.0.0.2%s}}]}}]',
    "ipip": _PLAIN % "ipips: [{ns: a, if: tunl0%s}]",
    "neigh": _PLAIN % 'neigh: [{ns: a, dev: eth0, ip: 10.0.0.2, mac: "02:00:00:00:00:02"%s}]',
    "route": _PLAIN % "routes: [{ns: a, dst: default, dev: eth0%s}]",
    "normalize": _PLAIN % "normalize: {%s}",
    "compare": _PLAIN % "compare: {%s}",
}
"""For each table of the page a document with one such thing, and where more of its keys go."""

_ASKS: Final = "ns: a, dst: 10.0.0.2, dst_port: 80"
ACTIONS: Final = {
    "inject": "ns: a, if: eth0, frames: []",
    "udp_server": "ns: a, port: 80",
    "tcp_server": "ns: a, port: 80",
    "tcp_request": _ASKS,
    "udp_request": _ASKS,
    "ping": "ns: a, dst: 10.0.0.2",
    "traceroute": "ns: a, dst: 10.0.0.2",
    "exec": "ns: a, argv: [ip, addr]",
    "iptables": "ns: a, args: -F",
    "sleep": "seconds: 1",
    "quiet": "",
    "snapshot": "label: x",
    "tally": "capture: a/eth0, key: [ip.src], of: ip.dst",
}
PATHS: Final = {
    "$": "Top level",
    "$.namespaces.*": "namespace",
    "$.links[*]": "link",
    "$.links[*].*": "end",
    "$.bridges[*]": "bridge",
    "$.bridges[*].ports[*]": "port",
    "$.vxlans[*]": "vxlan",
    "$.vxlans[*].fdb[*]": "fdb",
    "$.ipips[*]": "ipip",
    "$.neigh[*]": "neigh",
    "$.routes[*]": "route",
    "$.normalize": "normalize",
    "$.compare": "compare",
    **{f"$.actions[*].{kind}": kind for kind in KINDS},
}


def sample(table: str, more: str = "") -> str:
    """Return a document with one thing of a `table`, which has `more` keys."""
    begins = table in {"Top level", "namespace", "normalize", "compare"}
    extra = f", {more}" if more and not begins else more
    if table == COMMON:
        return _PLAIN % f"actions: [{{sleep: {{seconds: 1{extra}}}}}]"
    if table in ACTIONS:
        keys = ", ".join(filter(None, (ACTIONS[table], more)))
        return _PLAIN % f"actions: [{{{table}: {{{keys}}}}}]"
    return SAMPLES[table] % extra if "%s" in SAMPLES[table] else SAMPLES[table]


def read(text: str) -> NetworkDocument:
    """Return the network document in `text`."""
    (document,) = parse(text, "sample.yaml")
    return read_network(document, Path())


def section(page: str, title: str) -> str:
    """Return what stands below the heading `title`, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def rows(page: str, title: str) -> list[list[str]]:
    """Return the cells of the tables below a heading whose first column is code."""
    lines = re.findall(r"^\| (`[^|]*) \|(.*)\|$", section(page, title), re.MULTILINE)
    return [[first, *(cell.strip() for cell in rest.split("|"))] for first, rest in lines]


def keys(page: str, title: str) -> set[str]:
    """Return the keys in the first column below a heading."""
    return {row[0].strip("`") for row in rows(page, title)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, bool]]:
    """The keys that the reader asks for, by table of the page, and whether they have to be there."""
    found: dict[str, dict[str, bool]] = {}

    def listen(name: str, *, required: bool) -> None:
        method: Callable[..., Any] = getattr(Fields, name)

        def asks(fields: Fields, key: str, *arguments: Any) -> Any:  # noqa: ANN401 - any method's
            path = re.sub(r"\[\d+\]", "[*]", fields.place.path)
            path = re.sub(r"^(\$\.namespaces|\$\.links\[\*\])\.\w+$", r"\1.*", path)
            table = found.setdefault(PATHS[path], {})
            table[key] = required or table.get(key, False)
            return method(fields, key, *arguments)

        monkeypatch.setattr(Fields, name, asks)

    listen("must", required=True)
    for name in ("get", "each", "entries", "ignore"):
        listen(name, required=False)
    for table in (*SAMPLES, *KINDS):
        read(sample(table))
    return found


class TestNetworkDocument:
    """docs/reference/network-document.md."""

    def test_every_key_of_the_reader_is_in_its_table_and_no_other(
        self, asked: dict[str, dict[str, bool]]
    ) -> None:
        """The page and the reader know the same keys."""
        common = keys(PAGE, COMMON)
        assert asked.keys() == {*SAMPLES, *KINDS}
        for table, found in asked.items():
            of_actions = common if table in KINDS else set()
            assert keys(PAGE, table) | of_actions == found.keys(), table

    def test_what_has_to_be_there_is_said_to_be(self, asked: dict[str, dict[str, bool]]) -> None:
        """*required* stands at the keys that a document cannot do without."""
        for table, found in asked.items():
            said = {row[0].strip("`") for row in rows(PAGE, table) if row[2].startswith("required")}
            assert said == {key for key, required in found.items() if required}, table

    @pytest.mark.parametrize("table", [*SAMPLES, *ACTIONS, COMMON])
    def test_a_default_that_is_written_out_changes_nothing(self, table: str) -> None:
        """It is what the reader takes where the key is left out."""
        without = read(sample(table))
        for name, _, default, *_ in rows(PAGE, table):
            if value := re.fullmatch(r"`([^`]*)`", default):
                with_it = f"{name.strip('`')}: {value[1]}"
                assert read(sample(table, with_it)) == without, with_it

    def test_every_kind_of_action_is_in_the_list_and_has_a_section(self) -> None:
        """In the order of the reader."""
        listed = re.findall(r"^\| \[`(\w+)`\]\(#\1\)", section(PAGE, "What happens"), re.MULTILINE)
        assert listed == list(KINDS) == list(ACTIONS)
        for kind in listed:
            assert section(PAGE, kind)

    def test_outcomes_are_those_that_can_be_expected(self) -> None:
        """Of the kinds in the list: each word is one, and kinds without words have none."""
        for line in re.findall(r"^\| \[`.*\|$", section(PAGE, "What happens"), re.MULTILINE):
            _, kind, _, outcomes, _ = (cell.strip() for cell in line.split("|"))
            table = kind.split("`")[1]
            words = [word.replace("TYPE/CODE", "11/0") for word in re.findall(r"`([^`]+)`", outcomes)]
            words += ["ECONNREFUSED"] if "error" in outcomes else []
            for word in words:
                assert read(sample(table, f"expect: {word}")).actions[0].expect == word
            if not words:
                with pytest.raises(DocumentError, match="no outcome to expect"):
                    read(sample(table, "expect: ok"))

    def test_every_class_of_action_is_a_kind(self) -> None:
        """Nobody adds one that a document cannot ask for."""
        made = {type(read(sample(kind)).actions[0].action) for kind in KINDS}
        assert made == set(actions.Action.__args__)

    def test_the_settings_of_every_namespace_are_listed(self) -> None:
        """With their values."""
        said = {
            name: int(cells[0])
            for first, *cells in rows(PAGE, "How it is built")
            for name in re.findall(r"`(net\.[^`]+)`", first)
        }
        assert said.pop("net.ipv4.neigh.DEVICE.delay_first_probe_time") == 60
        assert said == dict(BASE_SYSCTLS)

    def test_examples_run_as_they_expect(self, tmp_path: Path) -> None:
        """With the rules beside them."""
        examples = dict(examples_of(PAGE))
        for name, text in examples.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        documents = [name for name in examples if name.endswith(".yaml")]
        assert documents == ["cable.yaml", "router.yaml", "inject.yaml"]
        for name in documents:
            assert load(tmp_path / name).unexpected == []


def examples_of(page: str) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each file in a page: a block whose first line is its name."""
    for text in re.findall(r"^```\w*\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        if name := re.match(r"# (\S+\.\w+)\n", text):
            yield name[1], text


class TestTraceJson:
    """docs/reference/trace-json.md."""

    def test_every_key_is_in_its_table_and_no_other(self) -> None:
        """Of the answer, of outcomes and of hops."""
        named = {
            "Top level": report.VerdictReport,
            "Outcomes": report.TracedReport,
            "Hops": report.HopReport,
        }
        for title, table in named.items():
            assert keys(TRACE_PAGE, title) == set(get_type_hints(table)), title

    def test_every_verdict_and_result_is_named(self) -> None:
        """As it is spelled."""
        assert keys(TRACE_PAGE, "Verdicts") == {word.value for word in Word}
        for result in Result:
            assert f"`{result.value}`" in section(TRACE_PAGE, "Outcomes")

    def test_the_example_is_what_is_printed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The command of the page gives its answer, the hops aside, and the hop."""
        shown, shown_hop = (
            json.loads(text)
            for text in re.findall(
                r"^```json\n(.*?)^```$", section(TRACE_PAGE, "Example"), re.DOTALL | re.MULTILINE
            )
        )
        command = re.search(r"^\$ emu (trace .* json) \|", TRACE_PAGE, re.MULTILINE)
        assert command is not None
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["emu", *command[1].split()])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 1
        answer = json.loads(capsys.readouterr().out)
        first, *_ = [hop for hop in answer["outcomes"][0]["hops"] if hop["table"] == "nat" and hop["rule"]]
        for outcome in answer["outcomes"]:
            del outcome["hops"]
        assert answer == shown
        assert first == shown_hop
