# SPDX-License-Identifier: GPL-2.0-only
"""What `nft` complains of, where, and that nothing is done then."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import START
from emu.testing.nft_strategies import nft_texts
from emu.tools.nft.faults import NftError
from emu.tools.nft.listing import render
from emu.tools.nft.loading import load
from tests.unit.tools.nft.rulefiles import FOLDER

_SETS = "set s {\ntype ipv4_addr\n}\nmap m {\ntype ipv4_addr : mark\n}\n"

_RULES = [
    ("foo bar", "9:1-3", "No symbol type information"),
    ("ip foo 1.1.1.1", "9:4-6", "syntax error, unexpected string"),
    ("ip saddr", "9:9-9", "syntax error, unexpected newline"),
    ("jump nowhere", "9:6-12", "Could not process rule: No such file or directory ('nowhere')"),
    ("ip saddr @nope", "9:10-14", "No such file or directory ('nope')"),
    ("tcp dport @s", "9:1-12", "datatype mismatch, expected inet_service, expression has type ipv4_addr"),
    ("ip saddr vmap @s", "9:1-16", "Expression is not a map"),
    ("tcp dport 99999", "9:11-15", "Service out of range"),
    ("tcp dport nosuch", "9:11-16", "Could not resolve service: Servname not supported for ai_socktype"),
    ("icmp type foo", "9:11-13", "Could not parse ICMP type"),
    ("ct state foo", "9:10-12", "Could not parse conntrack state"),
    ("accept counter", "9:8-14", "Statement after terminal statement has no effect"),
    ("meta mark set", "9:14-14", "syntax error, unexpected newline"),
    ("meta l4proto udp tcp dport 80", "9:18-26", "conflicting protocols specified: udp vs. tcp"),
    ("ip6 saddr ::1", "9:1-9", "conflicting protocols specified: ip vs. ip6"),
    ("meta nfproto ipv4", "9:1-12", "meta nfproto is only useful in the inet family"),
    ("ip daddr 1.1.1.3-1.1.1.1", "9:10-24", "Range has zero or negative size"),
    ("ip daddr 1.1.1.1/33", "9:18-19", "Prefix length 33 is invalid for type of 32 bits width"),
    ("tcp dport vmap { 1-5 : accept, 3-8 : drop }", "9:32-34", "conflicting intervals specified"),
    (
        "ip saddr . tcp dport 1.1.1.1 . 5",
        "9:1-20",
        "Use concatenations with sets and maps, not singleton values",
    ),
    ("limit rate 5/second burst 0 packets", "9:21-35", "packet limit burst must be > 0"),
    ("reject with icmpx port-unreachable", "9:19-34", "abstracted ICMP unreachable not supported"),
    (
        "dnat to 1.1.1.1:80",
        "9:17-18",
        "transport protocol mapping is only valid after transport protocol match",
    ),
    ("iif nosuch", "9:5-10", "Interface does not exist"),
    ("ip saddr $nope", "9:11-14", "unknown identifier 'nope'"),
    (
        'jump c comment "x" accept',
        "9:20-25",
        "syntax error, unexpected accept, expecting newline or semicolon",
    ),
]
_FILES = [
    ("add rule ip t c accept", "1:13-13", "Could not process rule: No such file or directory ('t')"),
    (
        "table ip t\nadd rule ip t c accept",
        "2:15-15",
        "Could not process rule: No such file or directory ('c')",
    ),
    ("create table ip t\ncreate table ip t", "2:17-17", "Could not process rule: File exists"),
    ("delete table ip t", "1:17-17", "Could not process rule: No such file or directory ('t')"),
    ("table ip t {\nchain c {\naccept\n}\n", "5:1-1", "syntax error, unexpected end of file"),
    (
        "table ip t { chain c { accept; } }",
        "1:34-34",
        "syntax error, unexpected '}', expecting newline or semicolon",
    ),
    ("table ip t {\nchain table {\n}\n}", "2:7-11", "syntax error, unexpected table, expecting string"),
    ("table ip t {\nset s {\ntype foo\n}\n}", "3:6-8", "unknown datatype foo"),
    ("table ip t {\nset s {\nflags interval\n}\n}", "2:5-5", "set definition does not specify key"),
    ("table ip t {\nchain c {\ntype filter hook foo priority 0\n}\n}", "3:18-20", "unknown chain hook"),
    (
        "table ip t {\nchain c {\ntype nat hook forward priority 0\n}\n}",
        "2:7-7",
        "Could not process rule: Operation not supported",
    ),
    (
        "table ip t {\nchain c {\ntype filter hook input priority srcnat\n}\n}",
        "3:24-38",
        "invalid priority expression value in this context.",
    ),
    (
        "table ip t {\nchain c {\ntype filter hook input priority 0\nmasquerade\n}\n}",
        "4:1-10",
        "Could not process rule: Operation not supported",
    ),
    (
        (
            "table ip t {\nchain a {\njump b\n}\nchain b {\njump a\n}\n"
            "chain c {\ntype filter hook input priority 0\njump a\n}\n}"
        ),
        "10:1-6",
        "Could not process rule: Too many links",
    ),
    (
        "table ip t {\nset s {\ntype ipv4_addr\nelements = { 10.0.0.0/8 }\n}\n}",
        "4:14-23",
        "You must add 'flags interval' to your set declaration if you want to add prefix elements",
    ),
    ('include "/etc/x"', "1:1-7", "include is not modelled"),
    ("list foo", "1:6-8", "syntax error, unexpected string"),
    ("table ip t\nlist chain ip t c", "2:17-17", "No such file or directory ('c')"),
    ("delete rule ip t c handle 5", "1:16-16", "Could not process rule: No such file or directory ('t')"),
]


def complaint(text: str) -> tuple[str, str]:
    """Return where and what the complaint about `text` is."""
    with pytest.raises(NftError) as caught:
        load(NfTables(), text, START, source="x.nft", interfaces=("lo",))
    (fault,) = caught.value.faults
    return f"{fault.place.line}:{fault.place.first}-{fault.place.last}", fault.message


@pytest.mark.parametrize(("rule", "place", "message"), _RULES)
def test_a_faulty_rule_is_refused_in_the_words_of_nft(rule: str, place: str, message: str) -> None:
    """The complaint has the place and the words of the real tool."""
    text = f"table ip t {{\n{_SETS}chain c {{\n{rule}\n}}\n}}\n"
    assert complaint(text) == (place, message)


@pytest.mark.parametrize(("text", "place", "message"), _FILES)
def test_a_faulty_file_is_refused_in_the_words_of_nft(text: str, place: str, message: str) -> None:
    """The same for tables, chains, sets and commands."""
    assert complaint(text) == (place, message)


def test_a_complaint_shows_the_line_and_underlines_the_place() -> None:
    """As on the screen, with the file's name in front."""
    with pytest.raises(NftError) as caught:
        load(NfTables(), "table ip t {\n\tchain c {\n\t\tfoo bar\n\t}\n}\n", START, source="x.nft")
    assert str(caught.value) == "x.nft:3:3-5: Error: No symbol type information\n\t\tfoo bar\n\t\t^^^"


def test_one_faulty_line_changes_nothing() -> None:
    """A file is one transaction, also where the kernel refuses its last command."""
    nft = NfTables()
    load(nft, "table ip t {\nchain c {\ncounter accept\n}\n}\n", START)
    before = render(nft.snapshot(START))
    for last in ("delete chain ip t nix", "foo", "add rule ip t c jump nix"):
        with pytest.raises(NftError):
            load(nft, f"flush ruleset\ntable ip u\nadd table ip t\nadd chain ip t c\n{last}\n", START)
        assert render(nft.snapshot(START)) == before


@given(text=nft_texts(), data=st.data())
def test_no_text_is_too_strange(text: str, data: st.DataObject) -> None:
    """A damaged file is loaded or refused, whatever was done to it."""
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 30)))
    new = data.draw(
        st.text(max_size=8) | st.sampled_from(("{", "}", ";", "\n", '"', "@", "$x", " . ", "-", "/99"))
    )
    _load(text[:begin] + new + text[end:])


@pytest.mark.parametrize("name", ["proxy", "firewall", "marks"])
@given(data=st.data())
def test_no_file_is_too_strange(name: str, data: st.DataObject) -> None:
    """The same for files that people and programs write."""
    words = (FOLDER / f"{name}.nft").read_text(encoding="utf-8").split(" ")
    first, second = (data.draw(st.integers(0, len(words) - 1)) for _ in range(2))
    words[first], words[second] = words[second], words[first]
    _load(" ".join(words))


@given(text=st.text(max_size=60))
def test_no_characters_are_too_strange(text: str) -> None:
    """Any text at all is loaded or refused."""
    _load(text)


def _load(text: str) -> None:
    nft = NfTables()
    with suppress(NftError):
        load(nft, text, START)
    render(nft.snapshot(START))
