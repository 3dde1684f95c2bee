# SPDX-License-Identifier: GPL-2.0-only
"""What `nft list` prints of what was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import SECOND, START, Instant
from emu.testing.nft_strategies import nft_rulesets
from emu.tools.nft.listing import Options, render
from emu.tools.nft.loading import load
from emu.tools.nft.shown import sorted_sets
from tests.unit.tools.nft.rulefiles import FILES, FOLDER, RULE_FILES, Sample, samples

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.ruleset import Ruleset

_ALL = [sample for name in RULE_FILES for sample in samples(name)]


def loaded(text: str) -> Ruleset:
    """Return the ruleset that `text` makes of nothing."""
    nft = NfTables()
    load(nft, text, START)
    return sorted_sets(nft.snapshot(START))


def listed(text: str, options: Options = Options()) -> str:  # noqa: B008 - a value
    """Return the ruleset that `text` makes of nothing, as text."""
    return render(loaded(text), options)


@pytest.mark.parametrize("sample", _ALL, ids=lambda sample: f"{sample.family}: {sample.written}")
def test_a_rule_is_listed_as_nft_lists_it(sample: Sample) -> None:
    """What nft makes of a rule (its protocols, merged fields, names) is what we make of it."""
    lines = listed(sample.text).splitlines()
    begin = lines.index("\tchain c {")
    assert lines[begin + 2 : -2] == sample.listed


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_listed_as_nft_lists_it(name: str) -> None:
    """Whole rulesets, as a proxy, a firewall and a marker of packets have them."""
    text = (FOLDER / f"{name}.nft").read_text(encoding="utf-8")
    assert listed(text) == (FOLDER / f"{name}.listed").read_text(encoding="utf-8")


@given(ruleset=nft_rulesets())
def test_what_is_listed_is_read_as_the_same(ruleset: Ruleset) -> None:
    """A listing makes the ruleset it was made of."""
    assert loaded(render(ruleset)) == ruleset


def test_handles_are_listed_where_they_are_asked_for() -> None:
    """`-a` puts the number of each thing behind it."""
    text = "table ip t {\nset s {\ntype ipv4_addr\n}\nchain c {\naccept\n}\n}\n"
    assert listed(text, Options(handles=True)) == (
        "table ip t { # handle 1\n"
        "\tset s { # handle 2\n\t\ttype ipv4_addr\n\t}\n\n"
        "\tchain c { # handle 1\n\t\taccept # handle 3\n\t}\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("counter reject with tcp reset", "meta l4proto tcp counter packets 0 bytes 0 reject with tcp reset"),
        (
            "counter reject with icmp type host-unreachable",
            "meta nfproto ipv4 counter packets 0 bytes 0 reject with icmp host-unreachable",
        ),
    ],
)
def test_a_rule_that_rejects_counts_nothing_that_it_cannot_reject(written: str, read: str) -> None:
    """What the packet has to be for it stands first in the rule, as nft 1.0.6 puts it."""
    assert f"\t\t{read}\n" in listed(f"table inet t {{\nchain c {{\n{written}\n}}\n}}\n")


def test_sets_in_braces_take_a_number_each() -> None:
    """They are sets of the table, made just before their rule."""
    rules = "tcp dport { 1, 2 } ip saddr { 1.1.1.1, 2.2.2.2 } accept\ntcp dport { 3 } accept\naccept\n"
    text = listed(f"table ip t {{\nchain c {{\n{rules}}}\n}}\n", Options(handles=True))
    assert [line.rpartition(" ")[2] for line in text.splitlines() if "accept" in line] == ["4", "5", "6"]


def test_a_port_may_stand_behind_the_address_of_a_map() -> None:
    """As `dnat to KEY map { ... } : PORT`."""
    rule = "udp dport 9 dnat to ip saddr map { 1.1.1.1 : 2.2.2.2 }:53"
    assert rule in listed(f"table ip t {{\nchain c {{\n{rule}\n}}\n}}\n")


def test_counters_are_left_out_of_a_stateless_list() -> None:
    """`-s` lists what a ruleset is, not what has happened."""
    text = "table ip t {\nchain c {\ncounter packets 5 bytes 60 accept\n}\n}\n"
    assert "counter accept" in listed(text, Options(stateless=True))


def test_protocols_are_numbers_where_that_is_asked_for() -> None:
    """`-n` spells no protocol out."""
    text = "table ip t {\nchain c {\nip protocol { tcp, udp } accept\n}\n}\n"
    assert "ip protocol { 6, 17 } accept" in listed(text, Options(numeric=True))


def test_an_element_is_listed_with_the_time_it_has_left() -> None:
    """What expires says when; what has expired is not there."""
    elements = "elements = { 1.1.1.1, 2.2.2.2 timeout 1h }"
    text = f"table ip t {{\nset s {{\ntype ipv4_addr\ntimeout 10s\n{elements}\n}}\n}}\n"
    nft = NfTables()
    load(nft, text, START)
    after = render(nft.snapshot(Instant(START + 4 * SECOND)))
    assert "{ 1.1.1.1 expires 6s, 2.2.2.2 timeout 1h expires 59m56s }" in after
    assert "elements = { 2.2.2.2 timeout 1h expires 59m50s }" in render(
        nft.snapshot(Instant(START + 10 * SECOND))
    )


def test_what_is_not_modelled_is_kept_as_it_was_written() -> None:
    """Unknown parts of rules and unknown objects are listed again, and named."""
    text = (
        "table ip t {\n\tquota q {\n\t\tover 5 mbytes\n\t}\n\n"
        '\tchain c {\n\t\ttcp dport 80 queue num 1-3 bypass comment "x"\n\t\tmeta cpu 0 accept\n\t}\n}\n'
    )
    nft = NfTables()
    load(nft, text, START)
    assert render(nft.snapshot(START)) == text
    assert nft.unmodelled() == [
        "table ip t quota q: not modelled",
        "table ip t chain c rule 1: queue",
        "table ip t chain c rule 2: meta cpu",
    ]


def test_tables_of_other_families_load_and_are_named() -> None:
    """No IPv4 packet of a namespace comes through them, so they are not walked."""
    text = "table ip6 t {\n\tchain c {\n\t\tip6 saddr fe80::/10 accept\n\t}\n}\n"
    nft = NfTables()
    load(nft, text, START)
    assert render(nft.snapshot(START)) == text
    assert nft.unmodelled() == ["table ip6 t: what it sees is not modelled"]
