# SPDX-License-Identifier: GPL-2.0-only
"""That `nft` tells all faults of a text at once, and none that is due to another alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import START
from emu.tools.nft.faults import NftError
from emu.tools.nft.listing import render
from emu.tools.nft.loading import load
from emu.tools.nft.recovering import MOST
from tests.unit.tools.nft.rulefiles import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

_ENOENT = "No such file or directory"
_HOOK = "type filter hook input priority 0\n"


def faults(text: str) -> list[tuple[int, str]]:
    """Return the lines of the faults of `text`, and what is said of them; nothing may be loaded."""
    nft = NfTables()
    load(nft, "table ip there", START)
    with pytest.raises(NftError) as caught:
        load(nft, text, START, source="x.nft", interfaces=("lo",))
    assert render(nft.snapshot(START)) == "table ip there {\n}\n"
    return [(fault.place.line, fault.message) for fault in caught.value.faults]


def in_chain(*rules: str) -> str:
    """Return a text with rules from line 6 on."""
    head = "table ip t {\nset s {\ntype ipv4_addr\n}\nchain c {\n"
    return head + "".join(f"{rule}\n" for rule in rules) + "}\n}\n"


def test_every_faulty_rule_is_told() -> None:
    """Whoever finds it: the reader, the look at the sets, or the kernel."""
    text = in_chain(
        "ip saddr @nix drop",
        "accept",
        "jump nowhere",
        "tcp dport 99999 accept",
        "tcp dport @s accept",
        "ip saddr foo bar",
        "ip daddr $x drop",
        "ip daddr @nada drop",
    )
    assert faults(text) == [
        (6, f"{_ENOENT} ('nix')"),
        (8, f"Could not process rule: {_ENOENT} ('nowhere')"),
        (9, "Service out of range"),
        (10, "datatype mismatch, expected inet_service, expression has type ipv4_addr"),
        (11, "Could not resolve hostname: Name or service not known"),
        (12, "unknown identifier 'x'"),
        (13, f"{_ENOENT} ('nada')"),
    ]


def test_every_faulty_command_is_told() -> None:
    """Also where what it names is missing, with the name."""
    text = (
        "add rule ip no c accept\nadd chain ip there c\nadd rule ip there d accept\n"
        "add element ip there e { 1 }\ndelete table ip u\ndelete set ip there v\nfoo\nlist chain ip there w\n"
    )
    assert faults(text) == [
        (1, f"Could not process rule: {_ENOENT} ('no')"),
        (3, f"Could not process rule: {_ENOENT} ('d')"),
        (4, f"{_ENOENT} ('e')"),
        (5, f"Could not process rule: {_ENOENT} ('u')"),
        (6, f"Could not process rule: {_ENOENT} ('v')"),
        (7, "syntax error, unexpected string"),
        (8, f"{_ENOENT} ('w')"),
    ]


def test_reading_goes_on_behind_a_syntax_error() -> None:
    """At the end of its line, and in all chains and sets."""
    text = (
        "table ip t {\nset s {\ntype foo\nflags nix\n}\nchain c {\naccept accept; jump\ncounter\n"
        "type filter hook foo priority 0\npolicy drop\n}\nwhat\nchain d {\nmeta mark set\n}\n}\nadd rule ip\n"
    )
    assert faults(text) == [
        (3, "unknown datatype foo"),
        (4, "syntax error, unexpected string"),
        (7, "Statement after terminal statement has no effect"),
        (7, "syntax error, unexpected newline, expecting string"),
        (9, "unknown chain hook"),
        (12, "syntax error, unexpected string"),
        (14, "syntax error, unexpected newline"),
        (17, "syntax error, unexpected newline, expecting string"),
    ]


def test_every_faulty_element_is_told() -> None:
    """Of a set in a table, and of one that is filled later."""
    text = (
        "table ip t {\nset s {\ntype ipv4_addr\nelements = { 1.1.1.1,\n1.1.1.0/24,\nfoo,\n1.1.1.1/33,\n"
        "2.2.2.2 }\n}\n}\nadd element ip t s { 3.3.3.3, bar }\n"
    )
    assert [line for line, _ in faults(text)] == [5, 6, 7, 11]


def test_each_misplaced_statement_is_told_where_it_stands() -> None:
    """What the kernel finds when it looks at whole tables: no NAT in a chain that filters."""
    text = f"table ip t {{\nchain c {{\n{_HOOK}masquerade\naccept\nsnat to 1.1.1.1\n}}\n}}\n"
    told = "Could not process rule: Operation not supported"
    assert faults(text) == [(4, told), (6, told)]


def test_what_a_faulty_set_was_to_hold_is_not_missed() -> None:
    """Rules that name it are right once it is."""
    text = "table ip t {\nset s {\ntype foo\n}\nchain c {\nip saddr @s drop\nip saddr @z drop\n}\n}\n"
    assert faults(text) == [(3, "unknown datatype foo"), (7, f"{_ENOENT} ('z')")]


def test_what_a_refused_chain_was_to_be_is_not_missed() -> None:
    """The same for what the kernel refuses: its rules are not told of."""
    text = "table ip t {\nchain c {\ntype nat hook forward priority 0\naccept\n}\nchain d {\ngoto c\n}\n}\n"
    assert faults(text) == [(2, "Could not process rule: Operation not supported")]


def test_what_a_command_without_a_name_was_to_make_is_not_missed() -> None:
    """Nobody knows what it would have been."""
    assert faults("add table ip\nadd rule ip t c accept\n") == [
        (1, "syntax error, unexpected newline, expecting string")
    ]


@pytest.mark.parametrize("define", ["define x + 1", "defien x = 1", "\u00e9 define x = 1", "define x ="])
def test_a_variable_that_is_defined_wrongly_is_not_missed(define: str) -> None:
    """Its uses are right once its definition is."""
    assert [line for line, _ in faults(f"{define}\n{in_chain('tcp dport $x accept')}")] == [1]


def test_behind_an_include_nothing_is_missed() -> None:
    """What it includes may have all of it."""
    assert faults('include "/etc/x"\nadd rule ip t c tcp dport $x accept\n') == [
        (1, "include is not modelled")
    ]


def test_reading_stops_where_a_brace_is_missing() -> None:
    """What is left may stand elsewhere than it seems."""
    text = "table ip t {\nchain c {\nfoo bar\nchain d {\njump nix\n}\nchain e {\n}\n}\n"
    assert faults(text) == [(3, "No symbol type information"), (4, "syntax error, unexpected chain")]


def test_faults_are_told_in_the_order_of_the_lines() -> None:
    """Also where reading stopped, and whoever found them."""
    text = "table ip t {\nchain c {\nfoo bar\ntcp dport $x\nchain d {\n}\n"
    assert [line for line, _ in faults(text)] == [3, 4, 5]


def test_a_hundred_faults_are_enough() -> None:
    """The first of them, whoever finds them."""
    assert faults(in_chain(*["jump"] * 500))[-1][0] == 5 + MOST
    assert faults(in_chain(*["jump nix"] * 500))[-1][0] == 5 + MOST


_DAMAGES: Final[dict[str, Callable[[str], str]]] = {
    "a first word that is none": lambda line: "nosuch " + line.partition(" ")[2],
    "a last word too many": lambda line: line if line.startswith("define") else f"{line} nosuch",
    "a character that is none": lambda line: f"{line} \u00a7",
    "a variable that is none": lambda line: f"{line} $nope",
    "a string without end": lambda line: f'{line} "x',
    "a brace too many": lambda line: f"{line} }}",
    "no comma": lambda line: line.replace(",", "", 1),
}


@pytest.mark.parametrize("damage", _DAMAGES)
@pytest.mark.parametrize("name", ["proxy", "firewall", "marks"])
def test_one_damaged_line_has_no_others_told(name: str, damage: str) -> None:
    """Nobody is sent to lines where nothing is wrong; a lost brace may be missed elsewhere, but once."""
    lines = (FOLDER / f"{name}.nft").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        changed = [*lines[: number - 1], _DAMAGES[damage](line), *lines[number:]]
        others = [other for other in lines_told("\n".join(changed)) if other != number]
        assert len(others) <= ("}" in line or "}" in changed[number - 1]), number


def lines_told(text: str) -> list[int]:
    """Return the lines of the faults of `text`, if it has any."""
    try:
        load(NfTables(), text, START)
    except NftError as error:
        return [fault.place.line for fault in error.faults]
    return []
