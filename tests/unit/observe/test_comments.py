# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.drops import DropReason
from emu.kernel.facts import End, Translated
from emu.observe.comments import ending, notation, quoted, remark
from emu.observe.recording import Kind, Step
from emu.sim.time import Instant
from emu.wire.addresses import IpAddress

RULE = '-A KUBE-SEP-A -m comment --comment "default/web" -m tcp -j DNAT --to-destination 10.244.1.3:8080'
WORD = re.compile(r'(?:emu|DROP [A-Z_]+|[a-z]+=(?:"[^"]*"|[^ "]+))(?: |$)')


def step(stage: str, detail: str = "", *, rule: str = "", conntrack: str = "") -> Step:
    """Return a decision."""
    return Step(
        7, 6, Instant(0), Kind.NOTE, "node/w1", "", 3, b"", stage, detail, rule=rule, conntrack=conntrack
    )


class TestRemark:
    """A decision."""

    def test_a_rule_is_told_with_its_object_and_number(self) -> None:
        """Its quotes made single, for the text stands in double ones."""
        said = remark(
            step("nat/KUBE-SEP-A", f"rule 2: {RULE}", rule=RULE, conntrack="NEW"), 9, "Service default/web"
        )
        text = RULE.replace('"', "'")
        assert said == (
            f'emu hop=9 ns=node/w1 hook=nat/KUBE-SEP-A rule="{text}" obj=svc/default/web ct=NEW why="rule 2"'
        )

    @pytest.mark.parametrize("key", ["dst", "src"])
    def test_nat_is_told_as_before_and_after(self, key: str) -> None:
        """With the key of what was rewritten."""
        before, after = End(IpAddress.parse("10.96.0.20"), 80), End(IpAddress.parse("10.244.1.3"), 8080)
        fact = Translated(is_source=key == "src", after=after, before=before)
        said = remark(step("nat", str(fact), conntrack="NEW")._replace(fact=fact), 1, "")
        assert said == f"emu hop=1 ns=node/w1 hook=nat {key}=10.96.0.20:80>10.244.1.3:8080 ct=NEW"

    def test_anything_else_is_told_in_words(self) -> None:
        """As the kernel says it."""
        assert remark(step("route", "default via 10.0.0.1 dev eth0"), 1, "") == (
            'emu hop=1 ns=node/w1 hook=route why="default via 10.0.0.1 dev eth0"'
        )

    def test_a_stage_without_words_has_none(self) -> None:
        """And no empty key."""
        assert remark(step("PREROUTING"), 2, "") == "emu hop=2 ns=node/w1 hook=PREROUTING"


class TestEnding:
    """The last comment of a packet."""

    DROP = Step(
        8,
        7,
        Instant(0),
        Kind.DROP,
        "node/w1",
        "eth0",
        3,
        b"",
        detail="policy",
        reason=DropReason.NETFILTER_DROP,
    )

    def test_the_reason_code_stands_above_the_kernels(self) -> None:
        """Which is kept beside it."""
        assert ending(self.DROP, 5, "NetworkPolicy shop/deny", "NETPOL_INGRESS") == (
            'DROP NETPOL_INGRESS kernel=NETFILTER_DROP hop=5 ns=node/w1 obj=netpol/shop/deny why="policy"'
        )

    @pytest.mark.parametrize("code", ["", "NETFILTER_DROP"])
    def test_the_kernels_reason_alone_is_not_told_twice(self, code: str) -> None:
        """Where no code says more."""
        assert ending(self.DROP, 5, "", code) == 'DROP NETFILTER_DROP hop=5 ns=node/w1 why="policy"'


@given(detail=st.text(), rule=st.text(), whose=st.sampled_from(["", "Service a/b", "provider kindnet"]))
def test_a_comment_is_one_line_that_can_be_taken_apart(detail: str, rule: str, whose: str) -> None:
    """Whatever rules and log prefixes hold: words and KEY=VALUE, text in double quotes."""
    for said in (
        remark(step("log", detail, rule=rule, conntrack="NEW"), 1, whose),
        ending(TestEnding.DROP._replace(detail=detail), 1, whose, "CT_INVALID"),
    ):
        assert "\n" not in said
        assert "".join(found[0] for found in WORD.finditer(said)) == said


@pytest.mark.parametrize(
    ("whose", "written"),
    [
        ("Service shop/redis", "svc/shop/redis"),
        ("NetworkPolicy shop/deny", "netpol/shop/deny"),
        ("Pod default/web-1", "pod/default/web-1"),
        ("Node worker-1", "node/worker-1"),
        ("provider flannel", "provider/flannel"),
        ("kube-proxy", "kube-proxy"),
    ],
)
def test_objects_are_written_without_blanks(whose: str, written: str) -> None:
    """As end points are."""
    assert notation(whose) == written
    assert shlex.split(written) == [written]


def test_quotes_hold_everything() -> None:
    """Double quotes become single ones, control characters blanks."""
    assert quoted('a "b"\nc\t') == "\"a 'b' c \""
