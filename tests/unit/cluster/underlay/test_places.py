# SPDX-License-Identifier: GPL-2.0-only
"""Names in links: who is meant, and what nobody can have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import emu
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

NODES = "apiVersion: emu/v1\nkind: Cluster\nspec: {nodes: [{name: worker-1}, {name: worker-2}]}\n---\n"
FABRIC = "apiVersion: emu/v1\nkind: Fabric\nspec:\n  links:\n"


def load(folder: Path, *links: str) -> object:
    """Build two workers with these cables."""
    path = folder / "lab.yaml"
    path.write_text(NODES + FABRIC + "".join(f"  - {{endpoints: [{each}]}}\n" for each in links))
    return emu.load(str(path))


@pytest.mark.parametrize(
    ("links", "words"),
    [
        (["wroker-1, tor"], "there is no wroker-1; did you mean 'worker-1'"),
        (["worker-9, tor", "worker-1, tor"], "there is no worker-9; did you mean"),
        (["worker-1, tor", "worker-1, tor"], "worker-1 has a cable already"),
        (['"worker-1:eth0", tor', "worker-1, other"], "worker-1 has a cable already"),
    ],
)
def test_what_nobody_can_have_meant_is_told(tmp_path: Path, links: list[str], words: str) -> None:
    """With its line: a node that is misspelt is no switch, and a device has one cable."""
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, *links)
    assert [fault.message for fault in caught.value.faults if words in fault.message]
    assert all(fault.line > 8 for fault in caught.value.faults)


@pytest.mark.parametrize(
    "links",
    [
        ["worker-1, a", '"a:2", "b:2"', '"a:3", "b:3"'],
        ["a, b", "b, c", "c, a"],
    ],
)
def test_a_loop_of_switches_is_told_with_the_link_that_closes_it(tmp_path: Path, links: list[str]) -> None:
    """Nothing is started: frames would go round for ever."""
    with pytest.raises(DocumentError, match="it closes a loop") as caught:
        load(tmp_path, *links)
    assert [(fault.file[-8:], fault.line) for fault in caught.value.faults] == [("lab.yaml", 11)]


def test_ports_of_a_routers_subnet_are_a_switch_too(tmp_path: Path) -> None:
    """Two cables from a rack's ports to one switch close a loop; to ports of two subnets they do not."""
    links = "links: [{endpoints: [tor:1, a]}, {endpoints: [tor:2, a]}]"
    document = f"{NODES}apiVersion: emu/v1\nkind: Fabric\nspec:\n  {links}\n  routers:\n  - name: tor\n"
    path = tmp_path / "lab.yaml"
    path.write_text(
        f"{document}    interfaces: [{{name: rack, addresses: [172.18.0.1/16], ports: [1, 2]}}]\n"
    )
    with pytest.raises(DocumentError, match="it closes a loop"):
        emu.load(str(path))
    two = "{name: x, addresses: [172.18.0.1/16], ports: [1]}, {name: y, addresses: [10.9.0.1/24], ports: [2]}"
    path.write_text(f"{document}    interfaces: [{two}]\n")
    assert emu.load(str(path))


def test_a_link_that_is_down_closes_no_loop(tmp_path: Path) -> None:
    """It is there to be taken up when the other one fails."""
    assert load(
        tmp_path, "worker-1, a", "worker-2, b", '"a:2", "b:2"', '"a:3", "b:3"], down: true, dropNth: [9'
    )


def test_switches_need_no_entry_of_their_own(tmp_path: Path) -> None:
    """A name that is nothing else is a switch."""
    assert load(tmp_path, "worker-1, tor-1", "worker-2, tor-2", "tor-1, tor-2")
