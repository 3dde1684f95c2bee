# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emu.cluster.network.importing import folder as folder_module
from emu.cluster.network.importing.importer import import_nodes, write_import
from emu.errors import DocumentError
from tests.unit.cluster.network.importing.nodes import device, said, with_addresses

if TYPE_CHECKING:
    import random

    from emu.errors import Fault
    from tests.unit.cluster.network.importing.nodes import Folder

DUMPS = Path(__file__).with_name("dumps")


class TestNodes:
    """Which folders are nodes."""

    def test_a_folder_without_nodes_is_refused(self, folder: Folder) -> None:
        """Files of other names make no node."""
        folder.node(notes="nothing of ours")
        assert said(folder.faults(), "has no folder NODE/ that holds one of iptables-save.txt")

    def test_the_folder_of_one_node_is_told_apart(self, folder: Folder) -> None:
        """Who gives a node's own folder is told what to give."""
        folder.node(ip_addr=[]).node("node1/below", ip_addr=[])
        folder.path /= "dumps"
        (folder.path / "node1").rename(folder.path / "dumps")
        assert said(folder.faults(), "holds files of a node itself") is False
        shutil.rmtree(folder.path / "dumps" / "below")
        assert said(folder.faults(), "holds files of a node itself: give the folder above it")

    def test_a_missing_folder_is_refused(self, folder: Folder) -> None:
        """With the reason of the system."""
        assert said(folder.faults(), "cannot be read: No such file or directory")

    def test_a_node_may_have_rules_alone(self, folder: Folder) -> None:
        """People paste what `iptables-save` said, and no more."""
        folder.node(iptables_save="*filter\n:INPUT DROP [0:0]\nCOMMIT\n")
        assert ":INPUT DROP" in folder.network().namespace("node1").execute(["iptables-save"]).stdout

    def test_names_become_names_of_namespaces(self, folder: Folder) -> None:
        """Dots are not allowed there; two nodes never share a namespace."""
        folder.node("a.b", ip_addr=[]).node("a-b", ip_addr=[])
        imported = folder.imported()
        assert [spec.name for spec in imported.document.namespaces] == ["a-b", "a-b-2"]
        assert said(imported.remarks.invented, "a-b-2: the name of the namespace for a.b")


class TestHostileFiles:
    """What nobody would record, and somebody may hand in."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[" * 5000, "is nested deeper than 100 levels"),
            ('[{"a":' * 200, "is nested deeper than 100 levels"),
            ("{}", "must be a list, as `ip -j` prints it, not a mapping"),
            ("[1]", "must be a mapping of keys to values, not 1"),
            ('[{"ifname":"a b"}]', "must be one word"),
            ('[{"ifname":"../../x"}]', "no interface can be called '../../x'"),
            ('[{"ifname":"-x"}]', "must be one word"),
            ('[{"ifname":"a"},{"ifname":"a"}]', "there is a device a in this list already"),
            ('[{"mtu":1}]', "lacks ifname"),
            (
                '[{"ifname":"a","addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":33}]}]',
                "from 0 to 32",
            ),
            ("[]\n---\n[]\n", "holds more than one list"),
            ('[{"ifname":"a","ifname":"b"}]', "duplicate key"),
        ],
    )
    def test_json_is_refused_with_its_path(self, folder: Folder, text: str, message: str) -> None:
        """One fault for each thing that is wrong, and no more."""
        folder.node(ip_rule=[])
        (folder.path / "dumps" / "node1" / "ip-addr.json").write_text(text)
        (fault,) = folder.faults()
        assert fault.startswith("ip-addr.json: $")
        assert message in fault

    def test_what_is_too_long_is_not_read(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sizes are bounded, of a file and of all together."""
        monkeypatch.setattr(folder_module, "MAX_OCTETS", 1_000_000)
        monkeypatch.setattr(folder_module, "MAX_TOTAL", 1_200_000)
        folder.node(conntrack="x" * 1_000_001).node("node2", conntrack="x" * 900_000)
        told = folder.faults()
        assert said(told, "conntrack.txt", "is longer than 0 MiB")
        assert said(told, "conntrack.txt", "makes all files longer than 1 MiB")

    def test_what_is_no_file_is_refused(self, folder: Folder) -> None:
        """A pipe would never end, a folder has no text."""
        folder.node(ip_addr=[])
        node = folder.path / "dumps" / "node1"
        os.mkfifo(node / "ip-route.json")
        (node / "sysctl.txt").mkdir()
        assert sorted(folder.faults()) == [
            "ip-route.json: $: is no plain file",
            "sysctl.txt: $: is no plain file",
        ]

    def test_text_has_to_be_text(self, folder: Folder) -> None:
        """The line is told."""
        folder.node(ip_addr=[])
        (folder.path / "dumps" / "node1" / "iptables-save.txt").write_bytes(b"*nat\n\xff\n")
        with pytest.raises(DocumentError) as refused:
            folder.imported()
        assert [(one.line, one.message) for one in refused.value.faults] == [(2, "is not UTF-8 text")]

    def test_empty_files_and_records_are_nothing(self, folder: Folder) -> None:
        """The tools print nothing, or empty records, where there is nothing to show."""
        folder.node(
            ip_addr=[{}, with_addresses(device("eth0"), "10.0.0.1/24"), {}], ipset="", nft="", sysctl=""
        )
        (folder.path / "dumps" / "node1" / "ip-neigh.json").write_text("")
        assert folder.network().namespace("node1").execute(["ip", "addr"]).status == 0

    def test_a_fault_leaves_what_was_there(self, folder: Folder) -> None:
        """An earlier document stays as it is, and nothing lies about."""
        target = folder.node(ip_addr=[device("eth0")], iptables_save="*nat\nCOMMIT\n").written()
        before = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
        folder.node(iptables_save="*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n")
        assert folder.faults()
        assert {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()} == before
        assert sorted(before) == [target.name, "node1.rules"]

    def test_the_document_cannot_be_led_astray(self, folder: Folder) -> None:
        """Names with quotes and colons stay names."""
        folder.node(ip_addr=[device('"x: {'.replace(" ", "").replace(":", "")), device("on", index=3)])
        names = [
            one["ifname"]
            for one in json.loads(folder.network().namespace("node1").execute(["ip", "-j", "addr"]).stdout)
        ]
        assert sorted(names) == ['"x{', "lo", "on"]


ANY = ".".join("0000")
VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        7,
        65536,
        2**32,
        1.5,
        "",
        "x",
        "a b",
        "-x",
        "\u2028",
        "eth0",
        "cni0",
        "lo",
        "flannel.1",
    ),
    *("10.244.1.1", ANY, "255.255.255.255", "127.0.0.1", "224.0.0.1", "10.0.0.0/8", "10.0.0.1/8"),
    *(
        "default",
        "fe80::1",
        "local",
        "host",
        "link",
        "main",
        "bond",
        "bridge",
        "vxlan",
        "veth",
        "dummy",
        "vlan",
    ),
    *("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", [], {}, [1], ["UP"]),
]


def garble(value: Any, draw: random.Random) -> None:  # noqa: ANN401 - JSON
    """Change something in JSON: a value, a key that goes, a record that goes or comes twice."""
    places: list[int | str] = list(range(len(value))) if isinstance(value, list) else list(value)
    if not places:
        return
    place = draw.choice(places)
    inner = value[place]
    if draw.random() < 0.1:
        del value[place]
    elif isinstance(value, list) and draw.random() < 0.1:
        value.append(json.loads(json.dumps(inner)))
    elif isinstance(inner, list | dict) and inner and draw.random() < 0.9:
        garble(inner, draw)
    else:
        value[place] = draw.choice(VALUES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=st.sampled_from(["two-nodes", "without-bridge"]), draw=st.randoms(use_true_random=False))
def test_garbled_dumps_are_imported_or_refused(
    tmp_path_factory: pytest.TempPathFactory, source: str, draw: random.Random
) -> None:
    """A document that can be built comes out, or faults; never anything else."""
    work = tmp_path_factory.mktemp("garbled")
    shutil.copytree(DUMPS / source, work / "dumps")
    files = sorted((work / "dumps").rglob("*.json"))
    for file in draw.choices(files, k=draw.choice([1, 2, 4])):
        content = json.loads(file.read_text())
        garble(content, draw)
        file.write_text(json.dumps(content))
    faults = refusals(work)
    places = (str(work / "dumps" / "node"), "dumps")  # a node's file, or what all of them together make
    assert all(fault.file.startswith(places) for fault in faults)
    assert (work / "network.yaml").exists() is not bool(faults)
    shutil.rmtree(work)


def refusals(work: Path) -> tuple[Fault, ...]:
    """Import what is below a folder, and return what is wrong with it."""
    try:
        write_import(import_nodes(work / "dumps"), "dumps", work / "network.yaml")
    except DocumentError as refused:
        return refused.faults
    return ()
