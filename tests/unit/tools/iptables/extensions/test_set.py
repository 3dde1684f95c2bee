# SPDX-License-Identifier: GPL-2.0-only
"""`-m set` and `-j SET` as iptables 1.8.9 wrote them, with the sets that they name in place."""

from __future__ import annotations

import attrs
import pytest

from emu.errors import CommandError
from emu.kernel.netfilter.ruleset import Rule, Table, empty
from emu.tools.iptables import check, command, lines, text
from emu.tools.iptables.extensions import of_type

EVERYTHING = (
    "-m set --match-set b src,dst,src --return-nomatch ! --update-counters ! --update-subcounters "
    "--packets-eq 3 --bytes-lt 5"
)

SAVED = [
    ("-m set --match-set a src", ""),
    ("-m set ! --match-set a src -j DROP", ""),
    ("-m set --match-set a src,dst", ""),
    ("-m set --set a src", "-m set --match-set a src"),
    ("-m set ! --set a src", "-m set ! --match-set a src"),
    ("-m set --match-set b src,dst,src --return-nomatch", ""),
    (
        EVERYTHING,
        "",
    ),
    (
        "-m set --match-set b src --update-counters --update-subcounters ! --packets-eq 3 --bytes-gt 5",
        "-m set --match-set b src ! --packets-eq 3 --bytes-gt 5",
    ),
    ("-m set --match-set b src --packets-lt 3 ! --bytes-eq 5", ""),
    ("-m set --match-set a src --packets-eq 0x10", "-m set --match-set a src --packets-eq 16"),
    ("-m set --match-set a src --packets-eq 18446744073709551615", ""),
    ("-m set --match-set a src,dst,dst,dst,dst,dst", ""),
    ("-j SET --add-set a src", ""),
    ("-j SET ! --add-set a src", "-j SET --add-set a src"),
    (
        "-j SET --add-set b src,dst,dst --timeout 7 --exist",
        "-j SET --add-set b src,dst,dst --exist --timeout 7",
    ),
    ("-j SET --add-set b src --timeout 4294967294", ""),
    ("-j SET --add-set b src --timeout 0", ""),
    ("-j SET --del-set b dst,src,src --add-set a src", "-j SET --add-set a src --del-set b dst,src,src"),
    ("-j SET --map-set m src --map-prio --map-mark", "-j SET --map-set m src --map-mark --map-prio"),
    (
        "-j SET --add-set b src --map-set m src --map-queue --exist",
        "-j SET --add-set b src --exist --map-set m src --map-queue",
    ),
]
"""What was written, and what iptables-save printed where that differs."""

LISTED = [
    ("-m set ! --match-set a src", "! match-set a src"),
    (
        EVERYTHING,
        EVERYTHING.removeprefix("-m set ").replace("--", ""),
    ),
    ("-j SET --add-set b src,dst,dst --exist --timeout 7", "add-set b src,dst,dst exist timeout 7"),
    ("-j SET --add-set a src --del-set b dst,src,src", "add-set a src del-set b dst,src,src"),
]

WRONG = [
    ("-m set --match-set a foo", "You must spefify (the comma separated list of) 'src' or 'dst'."),
    ("-m set --match-set a src,", "You must spefify (the comma separated list of) 'src' or 'dst'."),
    ("-m set --match-set a", "--match-set requires two args."),
    ("-m set", "You must specify `--match-set' with proper arguments"),
    ("-m set --return-nomatch", "You must specify `--match-set' with proper arguments"),
    ("-m set --match-set a src,src,src,src,src,src,src", "Can't be more src/dst options than 6."),
    ("-m set --match-set a src --match-set b src", "--match-set can be specified only once"),
    (
        "-m set --match-set a src --packets-eq 3 --packets-lt 5",
        "only one of the --packets-[eq|lt|gt] is allowed",
    ),
    (
        "-m set --match-set a src --packets-eq 1 --packets-eq 1",
        "only one of the --packets-[eq|lt|gt] is allowed",
    ),
    ("-m set --match-set a src ! --packets-lt 5", "--packets-lt option cannot be inverted"),
    ("-m set --match-set a src ! --return-nomatch", "--return-nomatch flag cannot be inverted"),
    ("-m set --match-set a src --bytes-eq x", "Cannot parse x as a counter value"),
    (
        "-m set --match-set averyveryverylongsetnamethatistoolong src",
        "setname `averyveryverylongsetnamethatistoolong' too long, max 31 characters.",
    ),
    ("-j SET", "You must specify either `--add-set' or `--del-set' or `--map-set'"),
    ("-j SET --timeout 3", "You must specify either `--add-set' or `--del-set' or `--map-set'"),
    ("-j SET --add-set a", "--add-set requires two args."),
    ("-j SET --add-set a src --add-set b src", "--add-set can be specified only once"),
    ("-j SET --add-set a src --timeout x", "Invalid value for option --timeout or out of range 0-4294967294"),
    ("-j SET --add-set a src --map-mark", "Flag `--map-mark' can be used with `--map-set' only"),
    ("-j SET --del-set a src --timeout 4", "Option `--timeout' can be used with `--add-set' only"),
    ("-j SET --del-set a src --exist", "Flag `--exist' can be used with `--add-set' only"),
    (
        "-j SET --map-set a src",
        "You must specify flags `--map-mark' or '--map-prio` or `--map-queue'",
    ),
]


def read(words: str) -> Rule:
    """Return the rule that `words` make."""
    (rule,) = command.parse(["-A", "INPUT", *lines.split(words)]).rules
    return rule


@pytest.mark.parametrize(("words", "saved"), SAVED)
def test_a_rule_is_printed_as_iptables_save_prints_it(words: str, saved: str) -> None:
    """And what is printed is read as the same rule."""
    rule = read(words)
    assert text.rule_text("INPUT", rule) == f"-A INPUT {saved or words}"
    assert read(saved or words) == rule


@pytest.mark.parametrize(("words", "listed"), LISTED)
def test_a_rule_is_listed_as_iptables_lists_it(words: str, listed: str) -> None:
    """The last column of `iptables -nL`."""
    rule = read(words)
    value = rule.matches[0] if rule.matches else rule.target
    assert of_type(type(value)).describe(value) == listed


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_options_are_complained_about_as_iptables_does(words: str, message: str) -> None:
    """Word by word."""
    with pytest.raises(CommandError) as caught:
        read(words)
    assert str(caught.value).rstrip("\n") == message


@pytest.mark.parametrize(
    ("table", "chain", "words", "is_taken"),
    [
        ("filter", "INPUT", "-j SET --map-set m src --map-mark", False),
        ("mangle", "PREROUTING", "-j SET --map-set m src --map-mark", True),
        ("mangle", "PREROUTING", "-j SET --map-set m src --map-prio", False),
        ("mangle", "INPUT", "-j SET --map-set m src --map-queue", False),
        ("mangle", "OUTPUT", "-j SET --map-set m src --map-prio", True),
        ("nat", "OUTPUT", "-j SET --add-set m src", True),
    ],
)
def test_the_kernel_takes_maps_where_they_make_sense(
    table: str, chain: str, words: str, *, is_taken: bool
) -> None:
    """In mangle alone; priorities and queues only where packets are sent."""
    before = empty(table)
    chains = tuple(
        attrs.evolve(one, rules=(read(words),)) if one.name == chain else one for one in before.chains
    )
    assert (not list(check.problems(Table(table, chains)))) is is_taken
