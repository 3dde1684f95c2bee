# SPDX-License-Identifier: GPL-2.0-only
"""The texts of matches and targets, given to the real iptables.

`python -m tests.kernel.test_extensions_on_linux` (as root) makes the recording anew
that the unit tests compare with.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from emu.kernel.netfilter.matches.ip import Protocol
from emu.kernel.netfilter.ruleset import Rule
from emu.tools.iptables import command, lines, text
from tests.kernel.linux import namespace
from tests.unit.tools.iptables.extensions.drawn import MATCHES, TARGETS, Place
from tests.unit.tools.iptables.extensions.recorded import RECORDED, Recorded

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Match

TABLES: Final = ("filter", "nat", "mangle", "raw")
UNMODELLED: Final = ("--left-shift-mark", "--hashlimit-rate-match")
_FILE: Final = Path("tests/unit/tools/iptables/extensions/recorded.json")
_BEGINNING: Final = "iptables v1.8.9 (nf_tables): "

pytestmark = pytest.mark.kernel


def ask(name: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in namespace `name`."""
    argv = ["ip", "netns", "exec", name, *words]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)


def printed(recorded: Recorded) -> str:
    """Return what we print for the rule."""
    (rule,) = command.parse(["-A", recorded.chain, *lines.split(recorded.words)]).rules
    return text.rule_text(recorded.chain, rule)


@pytest.mark.parametrize("table", TABLES)
def test_iptables_takes_what_we_print_and_prints_the_same(table: str) -> None:
    """All rules of the recording at once, restored and saved."""
    rules = [
        printed(recorded)
        for recorded in RECORDED
        if recorded.table == table and recorded.saved and not any(w in recorded.words for w in UNMODELLED)
    ]
    with namespace() as name:
        restored = ask(name, "iptables-restore", stdin="\n".join([f"*{table}", *rules, "COMMIT\n"]))
        assert restored.returncode == 0, restored.stderr
        saved = ask(name, "iptables-save", "-t", table).stdout.splitlines()
    chains = dict.fromkeys(rule.split(" ")[1] for rule in rules)
    for chain in chains:
        beginning = f"-A {chain} "
        assert [line for line in saved if line.startswith(beginning)] == [
            rule for rule in rules if rule.startswith(beginning)
        ]


@given(data=st.data())
@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.generate])
def test_iptables_takes_any_value_and_prints_the_same(data: st.DataObject) -> None:
    """One rule with each match and each target, of values drawn at random."""
    drawn: dict[str, list[str]] = {table: [] for table in TABLES}
    for place, matches in MATCHES:
        rule = Rule((*beside(place), data.draw(matches)))
        drawn[place.table].append(text.rule_text(place.chain, rule))
    for place, targets in TARGETS:
        rule = Rule(beside(place), data.draw(targets))
        drawn[place.table].append(text.rule_text(place.chain, rule))
    parts = [part for table, rules in drawn.items() for part in (f"*{table}", *rules, "COMMIT")]
    with namespace() as name:
        restored = ask(name, "iptables-restore", stdin="\n".join((*parts, "")))
        assert restored.returncode == 0, f"{restored.stderr}\n{parts}"
        saved = {table: ask(name, "iptables-save", "-t", table).stdout.splitlines() for table in TABLES}
    for table, rules in drawn.items():
        assert sorted(line for line in saved[table] if line.startswith("-A")) == sorted(rules)


def beside(place: Place) -> tuple[Match, ...]:
    """Return what else a rule at `place` asks for."""
    return (Protocol(place.protocol),) if place.protocol else ()


def record(name: str, old: Recorded) -> dict[str, str]:
    """Return what iptables makes of a rule now."""
    done = ask(name, "iptables", "-t", old.table, "-A", old.chain, *shlex.split(old.words))
    made = {"table": old.table, "chain": old.chain, "words": old.words}
    if done.returncode == 0:
        saved = ask(name, "iptables-save", "-t", old.table).stdout.splitlines()
        listed = ask(name, "iptables", "-t", old.table, "-nL", old.chain).stdout.splitlines()[2].split()
        made["saved"] = next(line for line in saved if line.startswith("-A"))
        made["listed"] = " ".join(listed[listed.index("0.0.0.0/0") + 2 :])
        ask(name, "iptables", "-t", old.table, "-F", old.chain)
    elif "failed (" in done.stderr:
        made["refused"] = done.stderr.split("failed (")[1].split(")")[0]
    else:
        complaint = done.stderr.removeprefix(_BEGINNING)
        made["error"] = complaint.split("\nTry `iptables -h'")[0].rstrip("\n")
    return made


def main() -> None:
    """Make the recording anew."""
    with namespace() as name:
        rules = [record(name, old) for old in RECORDED]
    whole = {**json.loads(_FILE.read_text()), "rules": rules}
    _FILE.write_text(json.dumps(whole, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
