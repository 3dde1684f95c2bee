# SPDX-License-Identifier: GPL-2.0-only
"""Whether expectations are met: asked with packets, of each pair, with proof."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.errors import DocumentError, EndPointError, UnknownNameError
from emu.testing.lab import two_hosts
from emu.verify.expect import Checker, Finding, parse_expectation

if TYPE_CHECKING:
    from collections.abc import Callable


def pod(name: str, *, port: int = 0, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the manifest of a pod that may listen."""
    ports = {"ports": [{"containerPort": port, "name": "main"}]} if port else {}
    container = {"name": "c", "image": "example/c", **ports}
    metadata = {"name": name, "labels": {"app": name, **(labels or {})}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
    }


def policy(app: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a manifest
    """Return the manifest of a policy on the pods of an app."""
    metadata = {"name": f"on-{app}"}
    spec = {"podSelector": {"matchLabels": {"app": app}}, **spec}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


WEB: Final = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
        },
    },
}
SERVICE: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}
HALF: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "half"},
    "spec": {"selector": {"half": "yes"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def cluster(*manifests: dict[str, Any], **network: Any) -> Cluster:  # noqa: ANN401 - settings of a document
    """Return what manifests describe, on two nodes."""
    spec = {"nodes": [{"name": "n1"}, {"name": "n2"}], "network": {"provider": "kindnet", **network}}
    head = {"apiVersion": "emu/v1", "kind": "Cluster", "spec": spec}
    text = yaml.safe_dump_all([head, *manifests])
    return Cluster(load_topology(document.scan(text.encode(), "lab.yaml")))


@pytest.fixture(scope="module")
def check() -> Callable[[str], Finding]:
    """Check a line in a shop whose database lets its web servers in alone, and nobody to port 7."""
    objects = (
        pod("client"),
        pod("db", port=6379),
        pod("good", port=8080, labels={"half": "yes"}),
        pod("bad", labels={"half": "yes"}),
        pod("late", nodeSelector={"no": "node"}),
        WEB,
        SERVICE,
        HALF,
        policy("db", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]),
    )
    checker = Checker(cluster(*objects))
    return lambda line: checker.check(parse_expectation(line))


class TestMet:
    """What packets do is what is expected."""

    @pytest.mark.parametrize(
        ("line", "asked"),
        [
            ("client -> svc/web:80 ALWAYS", 1),
            ("client -> web.default.svc.cluster.local:80 ALWAYS", 1),
            ("deploy/web -> db:6379/tcp ALWAYS", 2),
            ("deploy/web[0] -> db:main ALWAYS", 1),
            ("client -> deploy/web:80 ALWAYS", 2),
            ("client -> db:6379 NEVER", 1),
            ("client -> db:6379 NEVER because NETPOL_INGRESS", 1),
            ("client -> good:81 NEVER because NO_SOCKET", 1),
            ("client -> svc/half:80 SOMETIMES", 1),
            ("client -> svc/half:80 SOMETIMES 2/4 because NO_SOCKET", 1),
            ("client -> nobody.default.svc.cluster.local:80 NEVER because DNS_NXDOMAIN", 1),
            ("any pod{app in (client, web)} -> any pod{app=web} in default:80 ALWAYS", 4),
            ("any node -> any node ALWAYS", 2),
            ("any pod{app=web} -> any pod{half} NO-NAT", 4),
            ("client -> good:8080 NO-NAT", 1),
            ("client -> any pod{app in (client, good)} ALWAYS", 1),
        ],
    )
    def test_for_each_pair(self, check: Callable[[str], Finding], line: str, asked: int) -> None:
        """As many are asked as the line means; nobody of `any` asks himself."""
        found = check(line)
        assert found.is_met, found.explain()
        assert (found.asked, found.line.startswith(f"PASS  {line}")) == (asked, True)

    def test_a_denial_is_proved(self, check: Callable[[str], Finding]) -> None:
        """The same flow passes where there are no policies."""
        assert check("client -> db:6379 NEVER").proof == "passes without the policies"


class TestOutside:
    """Addresses that belong to nobody."""

    @pytest.mark.parametrize(
        "line",
        [
            "203.0.113.9 -> good:8080 ALWAYS",
            "203.0.113.9 -> db:6379 NEVER because NETPOL_INGRESS",
            "client -> 203.0.113.10:443 ALWAYS",
            "client -> 203.0.113.10:53/udp ALWAYS",
            "client -> 203.0.113.11:443 ALWAYS",
        ],
    )
    def test_ask_and_answer(self, check: Callable[[str], Finding], line: str) -> None:
        """Each gets a host outside, in the copies that prove denials, too."""
        found = check(line)
        assert found.is_met, found.explain()


class TestUnmet:
    """What came instead is told, and why."""

    @pytest.mark.parametrize(
        ("line", "got", "reason", "pair"),
        [
            ("client -> svc/web:80 NEVER", "ALWAYS", "", "client -> svc/web:80"),
            ("client -> svc/half:80 ALWAYS", "SOMETIMES 1/2", "NO_SOCKET", "client -> svc/half:80"),
            ("client -> svc/half:80 SOMETIMES 1/3", "SOMETIMES 1/2", "NO_SOCKET", "client -> svc/half:80"),
            ("client -> db:6379 NEVER because NO_SOCKET", "NEVER", "NETPOL_INGRESS", "client -> db:6379"),
            (
                "any pod{app in (client, db)} -> db:6379 ALWAYS",
                "NEVER",
                "NETPOL_INGRESS",
                "default/client -> db:6379",
            ),
            (
                "client -> any pod{app in (db, good)} ALWAYS",
                "NEVER",
                "NETPOL_INGRESS",
                "client -> default/db",
            ),
            ("client -> svc/web:80 NO-NAT", "NAT", "", "client -> svc/web:80"),
            ("client -> good:81 NO-NAT", "NEVER", "NO_SOCKET", "client -> good:81"),
            ("client -> svc/web:80 UNKNOWN", "ALWAYS", "", "client -> svc/web:80"),
        ],
    )
    def test_of_the_first_pair_that_fails(
        self, check: Callable[[str], Finding], line: str, got: str, reason: str, pair: str
    ) -> None:
        """With the reason of what was not delivered."""
        found = check(line)
        assert (found.is_met, found.got, found.reason, str(found.pair)) == (False, got, reason, pair)

    def test_a_line_says_it_all(self, check: Callable[[str], Finding]) -> None:
        """Expected, got, why and where."""
        line = check("client -> svc/half:80 ALWAYS").line
        assert (
            line
            == "FAIL  client -> svc/half:80 expected ALWAYS got SOMETIMES 1/2   NO_SOCKET at default/bad/eth0"
        )

    def test_a_translation_is_told_with_its_place(self, check: Callable[[str], Finding]) -> None:
        """The first tap that saw other addresses than were sent."""
        words = check("client -> svc/web:80 NO-NAT").words
        assert re.search(r"at node/n\d/veth\w+: \S+ > \S+:80, sent as \S+ > \S+:80 \(and \d+ more", words)

    def test_a_translation_on_the_way_back_counts(self) -> None:
        """And one that only a table of connections tells."""
        found = cluster(pod("client"), pod("good", port=8080, nodeName="n2"))
        rule = "iptables -t nat -A POSTROUTING -p tcp --dport 8080 -j MASQUERADE"
        found.node("n2").run(rule)
        line = parse_expectation("client -> good:8080 NO-NAT")
        assert Checker(found).check(line).got == "NAT"

    def test_who_does_not_run_is_told(self, check: Callable[[str], Finding]) -> None:
        """A pod that has no node has no network either: nothing is known by packets."""
        found = check("client -> late:80 NEVER")
        assert (found.is_met, found.got) == (False, "NOT RUNNING")
        assert found.words == "pod default/late has no address: it is Pending"


class TestVacuous:
    """A line that nothing could fail is not met."""

    @pytest.mark.parametrize(
        "line", ["any pod{app=wbe} -> db:6379 NEVER", "client -> any pod{app=wbe} ALWAYS"]
    )
    def test_nobody_is_meant(self, check: Callable[[str], Finding], line: str) -> None:
        """A selector with a slip selects nobody, and would hold for ever."""
        found = check(line)
        assert (found.is_met, found.got, found.words) == (False, "VACUOUS", "nobody is any pod{app=wbe}")

    def test_a_denial_that_policies_do_not_make(self, check: Callable[[str], Finding]) -> None:
        """The policy ends it, but nobody listens there anyway: the port is a slip."""
        found = check("client -> db:6380 NEVER")
        assert (found.is_met, found.got, found.reason) == (False, "VACUOUS", "NO_SOCKET")
        assert "without all policies it does not pass either" in found.words

    def test_a_denial_by_something_else_needs_no_proof(self, check: Callable[[str], Finding]) -> None:
        """No policy is concerned."""
        assert check("client -> good:81 NEVER").proof == ""


class TestUnenforced:
    """Policies that nobody enforces let everything through."""

    @pytest.mark.parametrize("network", [{"provider": "flannel"}, {"policy": "none"}])
    def test_are_named(self, network: dict[str, str]) -> None:
        """Where they would end the flow if somebody enforced them."""
        found = Checker(cluster(pod("client"), pod("db", port=6379), policy("db", ingress=[]), **network))
        finding = found.check(parse_expectation("client -> db:6379 NEVER"))
        assert (finding.is_met, finding.got, finding.reason) == (False, "ALWAYS", "NETPOL_NOT_ENFORCED")

    def test_prove_nothing(self) -> None:
        """Where nobody listens, packets end without them: a line that says why is met, another is not."""
        found = Checker(cluster(pod("client"), pod("db"), policy("db", ingress=[]), provider="flannel"))
        finding = found.check(parse_expectation("client -> db:6379 NEVER"))
        assert (finding.is_met, finding.got, finding.reason) == (False, "VACUOUS", "NO_SOCKET")
        assert found.check(parse_expectation("client -> db:6379 NEVER because NO_SOCKET")).is_met

    def test_are_not_blamed_for_what_they_allow(self) -> None:
        """A policy that lets the client in is not why it gets in."""
        allowed = policy("db", ingress=[{}])
        found = Checker(cluster(pod("client"), pod("db", port=6379), allowed, provider="flannel"))
        finding = found.check(parse_expectation("client -> db:6379 NEVER"))
        assert (finding.is_met, finding.got, finding.reason) == (False, "ALWAYS", "")


class TestWrong:
    """Who is not there cannot be asked."""

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("clent -> db:6379 NEVER", "did you mean 'client'?"),
            ("client -> deploy/wb:80 NEVER", "did you mean 'web'?"),
            ("any pod in shop -> db:6379 NEVER", "no namespace shop"),
            ("client -> svc/wbe:80 NEVER", "did you mean 'web'?"),
            ("client -> node/n3 NEVER", "no node n3"),
        ],
    )
    def test_is_told(self, check: Callable[[str], Finding], line: str, words: str) -> None:
        """With who may have been meant."""
        with pytest.raises(UnknownNameError, match=words.replace("?", r"\?")):
            check(line)

    def test_all_lines_are_looked_through_first(self) -> None:
        """Nothing is asked before everybody is known, and each line has its place."""
        lines = [
            parse_expectation(line, file="reach.yaml", line=number, path="$")
            for number, line in enumerate(("client -> db:1 ALWAYS", "a -> b NEVER", "c -> d NEVER"), 1)
        ]
        checker = Checker(cluster(pod("client"), pod("db")))
        with pytest.raises(DocumentError) as caught:
            next(checker.check_all(lines))
        assert [(each.file, each.line) for each in caught.value.faults] == [
            ("reach.yaml", 2),
            ("reach.yaml", 3),
        ]


def test_a_network_without_kubernetes_is_asked_too() -> None:
    """Names are those of namespaces; nobody is `any` there."""
    checker = Checker(two_hosts())
    assert checker.check(parse_expectation("a -> b NO-NAT")).is_met
    with pytest.raises(EndPointError, match="any pod means objects of Kubernetes"):
        checker.check(parse_expectation("any pod -> b NEVER"))
