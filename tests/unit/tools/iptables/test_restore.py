# SPDX-License-Identifier: GPL-2.0-only
"""Tables as text, there and back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import RulesError
from emu.kernel.netfilter.ruleset import Jump, UnknownMatch, UnknownTarget
from emu.kernel.netfilter.xtables import Count
from emu.testing.netfilter_strategies import rules, snapshots
from emu.tools.iptables import lines
from emu.tools.iptables.restore import parse, restore, unmodelled
from emu.tools.iptables.save import render
from emu.tools.iptables.text import rule_text

if TYPE_CHECKING:
    from emu.tools.iptables.snapshot import Snapshot

GOLDEN: Final = sorted((Path(__file__).parents[3] / "golden").glob("**/*.rules"))


def table(*body: str, name: str = "filter") -> str:
    """Return the text of one table."""
    return "\n".join((f"*{name}", *body, "COMMIT", ""))


def complaints(text: str) -> list[str]:
    """Return what is wrong with `text`, each with its line."""
    with pytest.raises(RulesError) as caught:
        parse(text)
    return [f"{one.line}: {one.message.rstrip()}" for one in caught.value.complaints]


def text_of(snapshot: Snapshot) -> list[str]:
    """Return the lines between the table's name and COMMIT, without those of built-in chains."""
    found = render([snapshot], counters=True).splitlines()[1:-1]
    return [line for line in found if not line.startswith((":INPUT ", ":FORWARD ", ":OUTPUT "))]


class TestThereAndBack:
    """What is printed is read as what it was printed of."""

    @given(snapshot=snapshots())
    def test_parsing_what_was_rendered_gives_the_same(self, snapshot: Snapshot) -> None:
        """Rules, policies, the order of chains, and all counters."""
        assert parse(render([snapshot], counters=True)) == {snapshot.table.name: snapshot}

    @pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
    def test_golden_rules_are_modelled_and_keep_their_words(self, path: Path) -> None:
        """Nothing in the scenarios is unknown, and what we print of them is read alike."""
        tables = parse(path.read_text(encoding="utf-8"))
        assert [name for one in tables.values() for name in unmodelled(one.table)] == []
        assert parse(render(tables.values(), counters=True)) == tables

    def test_equal_texts_make_one_object(self) -> None:
        """Also where counters differ: what is made of a table's rules is made once."""
        one = parse(table(":A - [0:0]", "[1:2] -A INPUT -j A"))["filter"]
        other = parse(table(":A - [0:0]", "[3:4] -A INPUT -j A"))["filter"]
        assert one.table is other.table
        assert (one.of("INPUT").rules, other.of("INPUT").rules) == ((Count(1, 2),), (Count(3, 4),))

    def test_counters_are_left_out_unless_asked_for(self) -> None:
        """As without `-c`; the option of a rule of that name counts all the same."""
        text = table(":INPUT DROP [5:6]", "[1:2] -A INPUT", "-A INPUT -c 3 4")
        snapshot = parse(text, counters=False)["filter"]
        assert snapshot.of("INPUT").rules == (Count(), Count(3, 4))
        assert snapshot.of("INPUT").policy == Count()

    @pytest.mark.parametrize(
        ("written", "printed"),
        [
            ("--dport 80 -j DROP", ""),
            ("-p tcp --dport 80 -j DROP", "-p tcp -m tcp --dport 80 -j DROP"),
            ("-m tcp -d 10.0.0.1 -p tcp --dport http", "-d 10.0.0.1/32 -p tcp -m tcp --dport 80"),
            ("-j MARK --or-mark 0x4000", "-j MARK --set-xmark 0x4000/0x4000"),
            ('-m comment --comment "say \\"no\\""', '-m comment --comment "say \\"no\\""'),
            ("-m comment --comment a-b", "-m comment --comment a-b"),
            ("! --source 10.1/255.0.255.0", "! -s 10.0.0.0/255.0.255.0"),
            ("--in-interface=eth+ --proto 200", "-i eth+ -p 200"),
            (
                "-m u32 --u32 0&0xF=1 -j TEE --gateway 10.0.0.1",
                "-m u32 --u32 0&0xF=1 -j TEE --gateway 10.0.0.1",
            ),
        ],
    )
    def test_rules_are_printed_in_one_spelling(self, written: str, printed: str) -> None:
        """Whatever order and names they were written with; without `-p` there is no port."""
        line = f"-A INPUT {written}"
        if not printed:
            assert complaints(table(line)) == ['2: unknown option "--dport"']
        else:
            assert text_of(parse(table(line))["filter"]) == [f"[0:0] -A INPUT {printed}"]

    def test_a_list_of_addresses_makes_several_rules(self) -> None:
        """Each source with each destination."""
        snapshot = parse(table("-A INPUT -s 1.1.1.1,2.2.2.2 -d 3.3.3.3,4.4.4.4"))["filter"]
        assert [line.split()[4:7:2] for line in text_of(snapshot)] == [
            ["1.1.1.1/32", "3.3.3.3/32"],
            ["1.1.1.1/32", "4.4.4.4/32"],
            ["2.2.2.2/32", "3.3.3.3/32"],
            ["2.2.2.2/32", "4.4.4.4/32"],
        ]


class TestUnmodelled:
    """What is not modelled is kept, and named."""

    def test_unknown_matches_and_targets_are_kept_in_their_words(self) -> None:
        """Up to the next option that is iptables' own."""
        text = table("-A INPUT -m bpf ! --bytecode 4,48 -s 1.1.1.1 -j NFQUEUE --queue-num 3 --queue-bypass")
        (rule,) = parse(text)["filter"].table.by_name["INPUT"].rules
        assert UnknownMatch("bpf", ("!", "--bytecode", "4,48")) in rule.matches
        assert rule.target == UnknownTarget("NFQUEUE", ("--queue-num", "3", "--queue-bypass"))

    def test_they_are_listed_by_name(self) -> None:
        """Each with its chain."""
        found = parse(table(":A - [0:0]", "-A A -m u32 --u32 x -j TEE --gateway 1.1.1.1"))["filter"]
        assert list(unmodelled(found.table)) == [("-m u32", "A"), ("-j TEE", "A")]

    @pytest.mark.parametrize("name", ["KUBE-SERVICES", "fail2ban", "OTHER", "GONE"])
    def test_a_name_that_is_neither_chain_nor_target_is_a_fault(self, name: str) -> None:
        """A jump to a chain that nobody made, or that is in another table, or was deleted."""
        text = table(":GONE - [0:0]", "-X GONE", f"-A INPUT -j {name}") + table(":OTHER - [0:0]", name="nat")
        assert complaints(text) == [f"4: Chain '{name}' does not exist"]

    def test_a_target_without_options_is_known_by_its_capitals(self) -> None:
        """Where a text declares no chain of that name; it is listed, printed and read again."""
        text = table("-A POSTROUTING -o eth0 -j FULLCONENAT", "-A PREROUTING -j FULLCONENAT", name="nat")
        found = parse(text)["nat"]
        (rule,) = found.table.by_name["POSTROUTING"].rules
        assert rule.target == UnknownTarget("FULLCONENAT")
        assert list(unmodelled(found.table)) == [
            ("-j FULLCONENAT", "PREROUTING"),
            ("-j FULLCONENAT", "POSTROUTING"),
        ]
        assert parse(render([found], counters=True)) == {"nat": found}
        (deleted,) = restore(
            table("-D PREROUTING -j FULLCONENAT", name="nat"), {"nat": found}, flush=False
        ).values()
        assert list(unmodelled(deleted.snapshot.table)) == [("-j FULLCONENAT", "POSTROUTING")]


class TestEdits:
    """What iptables-restore does to tables that are there."""

    present: Final = parse(table(":INPUT DROP [0:0]", ":A - [0:0]", ":B - [0:0]", "-A A", "-A B -j A"))

    def test_a_table_begins_empty(self) -> None:
        """Its policies stay."""
        (after,) = restore(table(":C - [0:0]"), self.present).values()
        assert render([after.snapshot]).splitlines()[1:5] == [
            ":INPUT DROP [0:0]",
            ":FORWARD ACCEPT [0:0]",
            ":OUTPUT ACCEPT [0:0]",
            ":C - [0:0]",
        ]

    def test_with_noflush_only_what_is_named_changes(self) -> None:
        """A user's chain that is declared is emptied; others keep the very same rules."""
        (after,) = restore(table(":A - [0:0]", "-I B 1 -j DROP"), self.present, flush=False).values()
        assert text_of(after.snapshot) == [
            ":A - [0:0]",
            ":B - [0:0]",
            "[0:0] -A B -j DROP",
            "[0:0] -A B -j A",
        ]
        assert after.draft is not None
        assert list(after.draft.moves()) == [(("B", 1), ("B", 0))]

    @pytest.mark.parametrize(
        ("edits", "rules_of_a"),
        [
            (["-D A 1"], []),
            (["-D A"], []),
            (["-R A 1 -j DROP"], ["-A A -j DROP"]),
            (["-I A -s 1.1.1.1,2.2.2.2"], ["-A A -s 2.2.2.2/32", "-A A -s 1.1.1.1/32", "-A A"]),
            (["-F A"], []),
            (["-F", "-X B", "-E A C", "-N A", "-A A -j C"], ["-A A -j C"]),
        ],
    )
    def test_every_command_can_stand_in_a_text(self, edits: list[str], rules_of_a: list[str]) -> None:
        """As on a command line."""
        (after,) = restore(table(*edits), self.present, flush=False).values()
        found = after.snapshot.table.by_name["A"].rules
        assert [rule_text("A", rule) for rule in found] == rules_of_a

    def test_renaming_a_chain_keeps_the_jumps_to_it(self) -> None:
        """They lead to its new name."""
        (after,) = restore(table("-E A Z"), self.present, flush=False).values()
        assert after.snapshot.table.by_name["B"].rules[0].target == Jump("Z")


class TestFaults:
    """All faults of a text, each with its line, in iptables' words."""

    def test_all_are_found_at_once(self) -> None:
        """Those of words, of tables that do not allow it, and of what the kernel refuses."""
        text = table(
            ":A - [0:0]",
            "-A INPUT -p foo",
            "-A NOPE",
            "-A INPUT -j MASQUERADE",
            "-A A -j A",
            "-A INPUT -j A",
        )
        assert complaints(text) == [
            '3: unknown protocol "foo" specified',
            "4: No chain/target/match by that name.",
            "5: RULE_APPEND failed (Invalid argument): rule in chain INPUT",
            "6: RULE_APPEND failed (Too many links): rule in chain A",
        ]

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("*filter\n", "1: COMMIT expected at line 2"),
            ("*nope\nCOMMIT\n", "1: iptables-restore: line 1 table name 'nope' invalid"),
            ("-A INPUT\n", "1: "),
            (table(":A"), "2: iptables-restore: line 2 policy invalid"),
            (table(":INPUT FOO"), "2: Bad policy name. Run `dmesg' for more information."),
            (table("[3] -A INPUT"), "2: Bad line 2: need ]"),
            (table("-A INPUT foo"), "2: Bad argument `foo'"),
            (table("-A INPUT -t nat"), "2: The -t option cannot be used in iptables-restore."),
            (table("-A INPUT -g NOPE"), "2: Chain 'NOPE' does not exist"),
            (
                table("-A INPUT -j OUTPUT"),
                "2: RULE_APPEND failed (Operation not supported): rule in chain INPUT",
            ),
            (table(":MASQUERADE - [0:0]"), "2: chain name may not clash with target name"),
            (table('-A INPUT -m comment --comment "x'), "2: A quote is not closed"),
        ],
    )
    def test_a_fault_is_told_as_iptables_tells_it(self, text: str, complaint: str) -> None:
        """The line is the one where it is."""
        assert complaints(text) == [complaint]

    def test_a_target_is_refused_where_a_hook_reaches_it_that_it_is_not_for(self) -> None:
        """However many jumps away; a chain that nobody reaches may have it."""
        body = [":A - [0:0]", ":B - [0:0]", "-A B -j MASQUERADE", "-A A -j B"]
        parse(table(*body, "-A POSTROUTING -j A", name="nat"))
        parse(table(*body, name="nat"))
        assert complaints(table(*body, "-A PREROUTING -j A", name="nat")) == [
            "4: RULE_APPEND failed (Invalid argument): rule in chain B"
        ]

    def test_jumps_are_fifteen_deep_at_most(self) -> None:
        """One more is refused, as is any depth of a circle."""
        names = [f"C{number:02}" for number in range(17)]
        declared = [f":{name} - [0:0]" for name in names]
        steps = [f"-A {a} -j {b}" for a, b in zip(["INPUT", *names], names, strict=False)]
        parse(table(*declared, *steps[:15]))
        assert complaints(table(*declared, *steps[:16])) == [
            "34: RULE_APPEND failed (Too many links): rule in chain C14"
        ]

    @given(text=st.text(st.sampled_from('*:-AIDNjmpst![]"\\ \nfilterINPUTCOMMIT0123.,/'), max_size=200))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        """Never anything but tables, or faults with their lines."""
        with suppress(RulesError):
            parse(f"*filter\n{text}\nCOMMIT\n")

    @given(data=st.data())
    def test_damaged_rules_are_read_or_refused(self, data: st.DataObject) -> None:
        """Words of right rules, dropped, doubled and out of order."""
        words = [
            word
            for rule in data.draw(st.lists(rules("filter"), max_size=3))
            for word in lines.split(rule_text("INPUT", rule))
        ]
        damaged = data.draw(st.lists(st.sampled_from(words), max_size=20)) if words else []
        with suppress(RulesError):
            parse(table(f"-A INPUT {' '.join(damaged)}"))

    def test_a_hundred_thousand_rules_load(self) -> None:
        """Within a jump's depth, and in no time that grows faster than they do."""
        chains = [f"C{number}" for number in range(5000)]
        body = [f":{name} - [0:0]" for name in chains]
        body += [f"-A INPUT -p tcp --dport {number % 60000} -j {name}" for number, name in enumerate(chains)]
        body += [f"-A {name} -s 10.{number}.0.0/16 -j ACCEPT" for name in chains for number in range(19)]
        assert sum(len(chain.rules) for chain in parse(table(*body))["filter"].table.chains) == 100_000

    def test_a_line_may_not_be_of_any_length(self) -> None:
        """Nor have any number of words, nor of rules."""
        many = ",".join(["1.1.1.1"] * 100)
        assert complaints(table(f"-A INPUT {' ' * 20_000}", f"-A INPUT -s {many} -d {many}")) == [
            "2: Line too long!",
            "3: these are more than 4096 rules",
        ]
