# SPDX-License-Identifier: GPL-2.0-only
"""The grammar of `expect` lines."""

from __future__ import annotations

from fractions import Fraction

import pytest

from emu.cluster.expectation import Expectation, Party, parse_expectation, split_flow
from emu.errors import ExpectationError
from emu.kube.api.objects.meta import Requirement


def faults(text: str) -> tuple[str, ...]:
    """Return what is wrong with a line."""
    with pytest.raises(ExpectationError) as caught:
        parse_expectation(text)
    return caught.value.faults


class TestRead:
    """What a line means."""

    def test_all_of_its_parts(self) -> None:
        """Who asks, whom, how often it arrives, and why it does not else."""
        line = "shop/client -> svc/shop/web:80 SOMETIMES 1/2 because REPLY_NOT_UNNATED"
        source = Party("shop/client", "shop/client")
        target = Party("svc/shop/web", "svc/shop/web", flow=":80")
        expected = Expectation(line, source, target, "SOMETIMES", Fraction(1, 2), "REPLY_NOT_UNNATED")
        assert parse_expectation(line) == expected

    def test_packets_may_race_alone_or_with_those_of_somebody_else(self) -> None:
        """Behind all else; a name to be looked up is a target as it is."""
        found = parse_expectation("a -> dns://web.default SOMETIMES because CT_INSERT_FAILED with races")
        assert (found.target.point, found.target.flow) == ("dns://web.default", "")
        assert (found.code, found.has_races, found.beside) == ("CT_INSERT_FAILED", True, "")
        found = parse_expectation("a:9 -> b:80 ALWAYS with 9 octets with races beside c:9")
        assert (found.payload, found.has_races, found.beside) == (9, True, "c:9")
        assert found.verdict == "ALWAYS with 9 octets with races beside c:9"

    def test_spaces_matter_not(self) -> None:
        """Between words there may be any number, and none around the arrow."""
        found = parse_expectation("  a->b:80   SOMETIMES 2 / 4 ")
        assert (found.source.point, found.target.point, found.share) == ("a", "b", Fraction(1, 2))

    @pytest.mark.parametrize(
        "point",
        [
            "client",
            "pod/client",
            "shop/web[Deployment]",
            "deploy/shop/web[0]",
            "sts/db",
            "node/n1",
            "ext/laptop",
            "10.0.0.1",
        ],
    )
    def test_every_end_point_may_ask(self, point: str) -> None:
        """As `emu trace` takes them."""
        assert parse_expectation(f"{point} -> b:80 NEVER").source == Party(point, point)

    @pytest.mark.parametrize(
        ("target", "point", "flow"),
        [
            ("svc/web", "svc/web", ""),
            ("svc/web:http", "svc/web", ":http"),
            ("svc/shop/web:80/tcp", "svc/shop/web", ":80/tcp"),
            ("shop/web:53/UDP", "shop/web", ":53/UDP"),
            ("10.0.0.1:80/sctp", "10.0.0.1", ":80/sctp"),
            ("node/n1/icmp", "node/n1", "/icmp"),
            ("web.shop.svc.cluster.local:80", "web.shop.svc.cluster.local", ":80"),
        ],
    )
    def test_a_target_has_a_port_and_a_protocol(self, target: str, point: str, flow: str) -> None:
        """Either may be left out."""
        found = parse_expectation(f"a -> {target} ALWAYS").target
        assert (found.point, found.flow) == (point, flow)

    def test_any_pod_has_a_selector_and_a_namespace(self) -> None:
        """And behind them the port that is asked."""
        found = parse_expectation("any pod -> any pod{app=db,tier in (a, b)} in shop:6379/tcp NEVER")
        assert found.source == Party("any pod", "", "pod")
        wanted = (Requirement("app", "In", ("db",)), Requirement("tier", "In", ("a", "b")))
        text = "any pod{app=db,tier in (a, b)} in shop"
        assert found.target == Party(text, "", "pod", wanted, "shop", ":6379/tcp")

    @pytest.mark.parametrize(
        "text", ["any pod:80", "any pod/icmp", "any node", "any node:10250", "any pod {a=b}"]
    )
    def test_any_needs_no_more_than_a_kind(self, text: str) -> None:
        """All of them."""
        assert parse_expectation(f"a -> {text} ALWAYS").target.anybody in {"pod", "node"}

    @pytest.mark.parametrize("word", ["ALWAYS", "NEVER", "SOMETIMES", "UNKNOWN", "NO-NAT"])
    def test_every_verdict(self, word: str) -> None:
        """As `emu trace` spells them, and NO-NAT."""
        found = parse_expectation(f"a -> b {word}")
        assert (found.wanted, found.share, found.code, found.parties) == (word, None, "", "a -> b")


class TestFaults:
    """What is wrong is told, all at once, with what may have been meant."""

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("a b NEVER", "has no '->'"),
            ("-> b NEVER", "lacks FROM"),
            ("a ->", "lacks TO"),
            ("a -> b", "lacks a verdict"),
            (
                "a -> b:80 ALLWAYS",
                "'ALLWAYS' is no verdict: it is one of ALWAYS, NEVER, SOMETIMES",
            ),
            ("a -> b never", "did you mean 'NEVER'?"),
            ("a -> b NEVER because NO_SOKET", "'NO_SOKET' is no reason code; did you mean 'NO_SOCKET'?"),
            ("a -> b NEVER because no_socket", "did you mean 'NO_SOCKET'?"),
            ("a -> b NEVER because", "because lacks a reason code"),
            ("a -> b ALWAYS because NO_SOCKET", "and ALWAYS delivers all"),
            ("a -> b NO-NAT because NO_SOCKET", "and NO-NAT delivers all"),
            ("a -> b SOMETIMES 2/2", "a share lies between"),
            ("a -> b SOMETIMES 0/2", "a share lies between"),
            ("a -> b SOMETIMES 1/2 with races", "which packet comes first has no odds"),
            ("a -> b SOMETIMES often", "'often' is too much"),
            ("a -> b NEVER 1/2", "only SOMETIMES has a share"),
            ("a:http -> b NEVER", "FROM may have a port of its own, a number, and no protocol"),
            ("a:80/udp -> b NEVER", "FROM may have a port of its own, a number, and no protocol"),
            ("any pod:80 -> b NEVER", "FROM may have a port of its own, a number, and no protocol"),
            ("a x -> b NEVER", "'x' is too much before '->'"),
            ("a/b/c/d -> b NEVER", "names nobody"),
            ("a -> 300.1.1.1 NEVER", "300.1.1.1"),
            ("a -> b:0 NEVER", "'0' is no port"),
            ("a -> b:65536 NEVER", "'65536' is no port"),
            ("a -> b: NEVER", "'' is no port"),
            (
                "a -> any pod:80/tpc NEVER",
                "'tpc' is no protocol: it is tcp, udp, sctp or icmp; did you mean 'tcp'?",
            ),
            ("a -> b:80/icmp NEVER", "ICMP has no ports"),
            ("any pods -> b NEVER", "not of 'pods'; did you mean 'pod'?"),
            ("any -> b NEVER", "any pod{LABELS} in NAMESPACE"),
            ("any pod{a=} b} -> b NEVER", "too much"),
            ("any pod{a=b -> b NEVER", "does not end with }"),
            ("any pod{=b} -> b NEVER", "is no selector of labels"),
            ("any pod in Shop -> b NEVER", "'Shop' is no name of a namespace"),
            ("any node{a=b} -> b NEVER", "it has no selector"),
        ],
    )
    def test_is_told(self, line: str, words: str) -> None:
        """In words that say what a line has to be."""
        assert words in "\n".join(faults(line))

    def test_one_line_has_several(self) -> None:
        """Nobody has to mend and try again for each."""
        assert len(faults("a:http -> b:0 NEVR because NOBODY_HOME_HERE")) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ("a", "")),
        ("shop/web:80", ("shop/web", ":80")),
        ("shop/web:80/tcp", ("shop/web", ":80/tcp")),
        ("[fd00::1]:80", ("[fd00::1]", ":80")),
        ("fd00::1", ("fd00::1", "")),
        ("a/icmp", ("a", "/icmp")),
    ],
)
def test_a_flow_is_split_from_its_point(text: str, expected: tuple[str, str]) -> None:
    """The port and the protocol stand behind it."""
    assert split_flow(text) == expected
