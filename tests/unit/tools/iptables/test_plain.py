# SPDX-License-Identifier: GPL-2.0-only
"""The quick reader of rules beside the one that reads all: it says the same, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import event, given
from hypothesis import strategies as st

from emu.errors import CommandError
from emu.testing.netfilter_strategies import rules, snapshots
from emu.tools.iptables import command, lines, plain
from emu.tools.iptables.save import render
from emu.tools.iptables.text import rule_text

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Rule
    from emu.tools.iptables.snapshot import Snapshot

NAMES: Final = st.sampled_from(("KUBE-SVC-ERIFXISQEP7F7OF4", "KUBE-SEP-2AW6", "KUBE-MARK-MASQ", "cali-fw-x"))
CHAINS: Final = NAMES | st.sampled_from(("KUBE-SERVICES", "PREROUTING", "OUTPUT", "POSTROUTING", "FORWARD"))
ADDRESSES: Final = st.sampled_from(("10.96.0.10", "10.96.0.10/32", "10.244.0.0/16", "10.0.0.0/8"))
PORTS: Final = st.integers(1, 65535).map(str)
COMMENTS: Final = st.sampled_from(('"default/web:http cluster IP"', "kube-system/dns:dns", '"say \\"no\\""'))


def words(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Words one behind the other, some of them drawn."""
    return st.tuples(*[st.just(part) if isinstance(part, str) else part for part in parts]).map(" ".join)


MAYBE_NOT: Final = st.sampled_from(("", "! "))
CONDITIONS: Final = (
    words(MAYBE_NOT.map(lambda inversion: f"{inversion}-s"), ADDRESSES),
    words(MAYBE_NOT.map(lambda inversion: f"{inversion}-d"), ADDRESSES),
    words("-m comment --comment", COMMENTS),
    words("-m mark", MAYBE_NOT.map(lambda inversion: f"{inversion}--mark"), "0x4000/0x4000"),
    words("-m addrtype --dst-type LOCAL"),
    words("-m conntrack --ctstate", st.sampled_from(("INVALID", "RELATED,ESTABLISHED"))),
    words("-m conntrack --ctstate DNAT"),
    words("-m statistic --mode random --probability", st.sampled_from(("0.50000000000", "0.33333333349"))),
    words("-m recent --name", NAMES, "--rcheck --seconds 10800 --reap"),
    words("-m limit --limit 5/min --limit-burst 3"),
    words("-m physdev --physdev-is-bridged"),
)
PORT: Final = (
    words("-p", st.sampled_from(("tcp -m tcp", "udp -m udp")), "--dport", PORTS),
    words("-m tcp --dport", PORTS, "-p tcp"),
    words("-p tcp -m multiport --dports", PORTS),
    words("-p", st.sampled_from(("tcp", "udp", "sctp", "icmp", "17"))),
)
TARGETS: Final = (
    words("-j", NAMES),
    words("-j", st.sampled_from(("ACCEPT", "DROP", "RETURN", "REJECT", "MASQUERADE", "NOTRACK"))),
    words("-j MARK --set-xmark 0x4000/0x4000"),
    words("-j MARK --or-mark 0x4000"),
    words("-j MASQUERADE --random-fully"),
    words("-j REJECT --reject-with icmp-port-unreachable"),
    words("-p tcp -m tcp -j DNAT --to-destination", PORTS.map(lambda port: f"10.244.1.3:{port}")),
)


@st.composite
def service_lines(draw: st.DrawFn) -> str:
    """Lines as kube-proxy and others like it write them, their conditions in any order."""
    target = draw(st.one_of(*TARGETS, st.just("")))
    conditions = [draw(kind) for kind in draw(st.lists(st.sampled_from(CONDITIONS), unique=True, max_size=4))]
    if "-p tcp" not in target and draw(st.booleans()):
        conditions.append(draw(st.one_of(*PORT)))
    return " ".join(("-A", draw(CHAINS), *draw(st.permutations(conditions)), target)).rstrip()


def slowly(line: list[str]) -> Rule | None:
    """Return the one rule that the line makes, None if it is wrong or makes others."""
    try:
        found = command.parse(line).rules
    except CommandError:
        return None
    return found[0] if len(found) == 1 else None


@given(line=service_lines())
def test_rules_of_services_are_read_quickly_and_alike(line: str) -> None:
    """It does not give up on them, whatever their order."""
    split = lines.split(line)
    assert slowly(split) is not None
    assert plain.read(split) == slowly(split)


@given(snapshot=snapshots())
def test_both_read_a_table_that_was_printed_alike(snapshot: Snapshot) -> None:
    """Rule for rule, those that the quick one gives up left out."""
    read = [rule for chain in snapshot.table.chains for rule in chain.rules]
    printed = [line for line in render([snapshot]).splitlines() if line.startswith("-A")]
    for line, rule in zip(printed, read, strict=True):
        split = lines.split(line)
        assert slowly(split) == rule
        assert plain.read(split) in {None, rule}
        event("given up" if plain.read(split) is None else "read")


@given(data=st.data())
def test_what_the_quick_one_reads_of_damaged_rules_is_no_fault(data: st.DataObject) -> None:
    """Words of right rules, dropped, doubled, inverted and out of order."""
    right = st.one_of(
        service_lines(), rules("filter", jumps=("A",)).map(lambda rule: rule_text("INPUT", rule))
    )
    split = lines.split(data.draw(right))
    for _ in range(data.draw(st.integers(0, 3))):
        at, other = (data.draw(st.integers(2, max(2, len(split) - 1))) for _ in range(2))
        match data.draw(st.sampled_from(("drop", "double", "invert", "move", "mix"))):
            case "drop":
                del split[at : at + 1]
            case "double":
                split[at:at] = split[other : other + 2]
            case "invert":
                split.insert(at, "!")
            case "move":
                split[at:at] = [split.pop()] if len(split) > 2 else []
            case _:
                split += lines.split(data.draw(right))[2:]
    found = plain.read(split)
    event("given up" if found is None else "read")
    assert found in {None, slowly(split)}
