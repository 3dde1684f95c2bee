# SPDX-License-Identifier: GPL-2.0-only
"""Texts that are loaded more than once."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import START
from emu.tools.nft.faults import NftError
from emu.tools.nft.loading import load

_TEXT = 'table ip t {\nchain c {\niif "eth0" counter packets 0 bytes 0 accept\n}\n}\n'


def test_equal_texts_share_their_rules() -> None:
    """Checked without devices and loaded where they are: read once."""
    rules = []
    for interfaces in (None, {"eth0"}, {"eth0", "eth1"}):
        nft = NfTables()
        load(nft, _TEXT, START, interfaces=interfaces)
        rules += nft.tables["ip", "t"].chains["c"].rules
    assert len({id(rule.value) for rule in rules}) == 1
    assert len({id(rule.states[1]) for rule in rules}) == 3


def test_devices_are_those_of_the_namespace() -> None:
    """What was read where a device is does not hold where it is not."""
    load(NfTables(), _TEXT, START, interfaces={"eth0"})
    for _ in range(2):
        with pytest.raises(NftError, match="Interface does not exist"):
            load(NfTables(), _TEXT, START, interfaces={"eth1"})
    load(NfTables(), _TEXT, START, interfaces={"eth0"})


def test_faults_are_told_each_time() -> None:
    """Those of this time alone."""
    for text in ("add rule ip t c accept", "table ip t {\nchain c {\nnonsense\n}\n}\n"):
        told = set()
        for _ in range(3):
            with pytest.raises(NftError) as caught:
                load(NfTables(), text, START)
            told.add(str(caught.value))
        assert len(told) == 1


def test_elements_are_read_as_their_set_wants() -> None:
    """The same words, in sets of two types."""
    keys = []
    for datatype in ("inet_service", "mark"):
        nft = NfTables()
        load(nft, f"add table ip t\nadd set ip t s {{ type {datatype}; }}", START)
        load(nft, "add element ip t s { 80 }", START)
        keys.append(list(nft.tables["ip", "t"].sets["s"].slots))
        with pytest.raises(NftError):
            load(nft, "add element ip t s { 10.0.0.1 }", START)
    assert [len(one) for one in keys] == [1, 1]
