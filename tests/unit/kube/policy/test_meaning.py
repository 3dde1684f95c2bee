# SPDX-License-Identifier: GPL-2.0-only
"""What NetworkPolicies mean, point by point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest
import yaml

from emu.kube.api import codec
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.kube.api.objects.container import Container, ContainerPort
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.network import IpBlock
from emu.kube.api.objects.pod import PodSpec, PodStatus
from emu.kube.policy.meaning import (
    Connection,
    Direction,
    Exemption,
    Permit,
    Snapshot,
    block_contains,
    isolates,
    meaning,
)
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.policy.meaning import HostNetworkPeer, Meaning

OUTSIDE: Final = IpAddress.parse("198.51.100.7")
NODE_1: Final = IpAddress.parse("172.18.0.2")
NAMESPACES: Final = tuple(
    Namespace(Meta(name, labels=labels))
    for name, labels in (("x", {"team": "blue"}), ("y", {"team": "red"}), ("z", {}))
)


def pod(
    name: str,
    address: str,
    ports: Iterable[ContainerPort] = (),
    *,
    node: str = "n1",
    host_network: bool = False,
    phase: str = "Running",
    labels: Mapping[str, str] | None = None,
) -> Pod:
    """Return the pod `NS/NAME`; without `labels` it has the label `pod` of its name."""
    namespace, _, own = name.partition("/")
    return Pod(
        Meta(own, namespace, labels={"pod": own} if labels is None else labels),
        PodSpec((Container("c", ports=tuple(ports)),), node_name=node, host_network=host_network),
        PodStatus(phase, pod_ip=address),
    )


XA, XB, YA, YB, ZA = PODS = (
    pod("x/a", "10.244.0.2", [ContainerPort(80, "web"), ContainerPort(53, "dns", "UDP")]),
    pod("x/b", "10.244.0.3", [ContainerPort(8080, "web")]),
    pod("y/a", "10.244.1.2", node="n2"),
    pod("y/b", "10.244.1.3", node="n2"),
    pod("z/a", "10.244.1.4", node="n2", labels={}),
)


def policy(spec: str, namespace: str = "x", name: str = "p") -> NetworkPolicy:
    """Return a policy of the namespace `namespace` with a `spec` in YAML."""
    found = codec.read(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": yaml.safe_load(spec),
        }
    )
    assert isinstance(found, NetworkPolicy)
    return found


def ask(
    policies: Iterable[NetworkPolicy],
    source: Pod | IpAddress,
    target: Pod | IpAddress,
    port: int = 80,
    protocol: str = "TCP",
    *,
    node: str = "",
    pods: tuple[Pod, ...] = PODS,
    namespaces: tuple[Namespace, ...] = NAMESPACES,
    host_network_peer: HostNetworkPeer = "node",
) -> Meaning:
    """Return what `policies` say of a connection from `source`, or from the node `node`, to `target`."""
    snapshot = Snapshot(tuple(policies), pods, namespaces, host_network_peer)
    (asker, source_address), (asked, target_address) = [
        (None, end) if isinstance(end, IpAddress) else (end, IpAddress.parse(end.status.pod_ip))
        for end in (source, target)
    ]
    return meaning(snapshot, Connection(asker, source_address, asked, target_address, protocol, port, node))


def allowed(
    spec: str, source: Pod | IpAddress, target: Pod | IpAddress, port: int = 80, protocol: str = "TCP"
) -> bool:
    """Return whether one policy of the namespace x allows a connection."""
    return ask([policy(spec)], source, target, port, protocol).allows


class TestIsolation:
    """Which pods are cut off, and in which direction."""

    def test_without_policies_everything_passes(self) -> None:
        """Nobody is isolated, and the answer says so."""
        answer = ask([], OUTSIDE, XA)
        assert answer.allows
        assert answer.ingress.isolating == answer.egress.isolating == ()

    def test_it_is_of_one_direction(self) -> None:
        """A pod that is isolated for ingress opens connections as before."""
        closed = policy("{podSelector: {}, policyTypes: [Ingress]}")
        assert not ask([closed], YA, XA).allows
        assert ask([closed], XA, YA).allows

    def test_it_is_of_the_pods_selected(self) -> None:
        """Others of the namespace are open."""
        spec = "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress]}"
        assert not allowed(spec, YA, XA)
        assert allowed(spec, YA, XB)

    def test_an_empty_pod_selector_is_the_whole_namespace(self) -> None:
        """And nothing of another one."""
        spec = "{podSelector: {}, policyTypes: [Ingress]}"
        assert [allowed(spec, ZA, each) for each in (XA, XB, YA, YB)] == [False, False, True, True]

    def test_rules_that_match_nothing_isolate_all_the_same(self) -> None:
        """A policy about SCTP alone closes TCP."""
        spec = "{podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: 80}]}]}"
        assert not allowed(spec, YA, XA, 80, "TCP")
        assert allowed(spec, YA, XA, 80, "SCTP")

    def test_the_answer_names_who_isolates(self) -> None:
        """All policies that do, sorted, and none that does not."""
        policies = [
            policy("{podSelector: {}}", name="second"),
            policy("{podSelector: {}, policyTypes: [Egress]}", name="other"),
            policy("{podSelector: {}}", name="first"),
        ]
        ingress = ask(policies, YA, XA).ingress
        assert (ingress.pod, ingress.isolating, ingress.permits) == ("x/a", ("x/first", "x/second"), ())

    def test_a_service_is_never_selected(self) -> None:
        """A destination that is no pod has no ingress of its own."""
        assert ask([policy("{podSelector: {}}")], OUTSIDE, OUTSIDE).ingress.exemption is Exemption.NO_POD

    @pytest.mark.parametrize(
        ("spec", "ingress", "egress"),
        [
            ("{podSelector: {}}", True, False),
            ("{podSelector: {}, egress: []}", True, False),
            ("{podSelector: {}, egress: [{}]}", True, True),
            ("{podSelector: {}, policyTypes: []}", True, False),
            ("{podSelector: {}, policyTypes: [Egress]}", False, True),
            ("{podSelector: {}, policyTypes: [Egress], ingress: [{}]}", False, True),
            ("{podSelector: {}, policyTypes: [Ingress], egress: [{}]}", True, False),
            ("{podSelector: {}, policyTypes: [Egress, Ingress]}", True, True),
        ],
    )
    def test_types_have_defaults(self, spec: str, *, ingress: bool, egress: bool) -> None:
        """Ingress always, Egress with a rule for it; what is said is what holds."""
        read = policy(spec)
        assert isolates(read, XA, Direction.INGRESS) == ingress
        assert isolates(read, XA, Direction.EGRESS) == egress


class TestAgreement:
    """How policies and ends add up."""

    def test_both_ends_have_to_agree(self) -> None:
        """An ingress that is open does not help a source that is cut."""
        policies = [
            policy("{podSelector: {}, policyTypes: [Egress]}", "y"),
            policy("{podSelector: {}, ingress: [{}]}"),
        ]
        answer = ask(policies, YA, XA)
        assert not answer.allows
        assert (answer.egress.allows, answer.ingress.allows) == (False, True)

    def test_policies_add_up_in_any_order(self) -> None:
        """One that permits is enough; nothing can take it back."""
        closed, opened = policy("{podSelector: {}}"), policy("{podSelector: {}, ingress: [{}]}", name="q")
        assert ask([closed, opened], YA, XA).allows
        assert ask([opened, closed], YA, XA).allows

    def test_rules_peers_and_ports_add_up(self) -> None:
        """Any peer of a rule with any port of the same rule, and no others."""
        spec = """
            podSelector: {}
            ingress:
            - from: [{namespaceSelector: {matchLabels: {team: red}}}, {podSelector: {}}]
              ports: [{port: 80}, {port: 81}]
            - from: [{ipBlock: {cidr: 198.51.100.0/24}}]
              ports: [{port: 82}]
        """
        seen = {
            (name, port): allowed(spec, source, XA, port)
            for name, source in (("red", YA), ("own", XB), ("out", OUTSIDE), ("plain", ZA))
            for port in (80, 81, 82)
        }
        good = {key for key, passes in seen.items() if passes}
        assert good == {("red", 80), ("red", 81), ("own", 80), ("own", 81), ("out", 82)}

    def test_the_answer_names_every_rule_and_peer_that_permits(self) -> None:
        """As comments in rules do."""
        spec = """
            podSelector: {}
            ingress:
            - from: [{ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {}}]
            - ports: [{port: 1}, {port: 80}]
        """
        permits = ask([policy(spec)], YA, XA).ingress.permits
        assert permits == (
            Permit("x/p", Direction.INGRESS, 0, 0, None),
            Permit("x/p", Direction.INGRESS, 0, 1, None),
            Permit("x/p", Direction.INGRESS, 1, None, 1),
        )
        assert [str(each) for each in permits] == [
            "NetworkPolicy x/p ingress[0].from[0]",
            "NetworkPolicy x/p ingress[0].from[1]",
            "NetworkPolicy x/p ingress[1]",
        ]

    def test_rules_of_egress_are_called_so(self) -> None:
        """Their peers stand under `to`."""
        answer = ask([policy("{podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}]}")], XA, YA)
        assert [str(each) for each in answer.egress.permits] == ["NetworkPolicy x/p egress[0].to[0]"]

    @pytest.mark.parametrize(
        ("ingress", "passes"),
        [("[]", False), ("[{}]", True), ("[{from: []}]", True), ("[{ports: []}]", True)],
    )
    def test_what_is_empty_is_nothing_or_everything(self, ingress: str, *, passes: bool) -> None:
        """No rule permits nothing; a rule without peers or ports permits all of them, from outside too."""
        spec = f"{{podSelector: {{}}, ingress: {ingress}}}"
        assert allowed(spec, YA, XA) == passes
        assert allowed(spec, OUTSIDE, XA, 7, "SCTP") == passes


class TestPeers:
    """Who is meant."""

    def test_two_selectors_in_one_element_hold_both(self) -> None:
        """`AND`: pods with the label in namespaces with the label."""
        spec = """{podSelector: {}, ingress: [{from: [
            {namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {pod: a}}}]}]}"""
        assert [allowed(spec, each, XA) for each in (YA, YB, XB)] == [True, False, False]

    def test_two_elements_hold_either(self) -> None:
        """`OR`: namespaces with the label, and pods with the label in the policy's own namespace."""
        spec = """{podSelector: {}, ingress: [{from: [
            {namespaceSelector: {matchLabels: {team: red}}}, {podSelector: {matchLabels: {pod: b}}}]}]}"""
        assert [allowed(spec, each, XA) for each in (YA, YB, XB, ZA)] == [True, True, True, False]

    @pytest.mark.parametrize(
        ("peer", "admitted"),
        [
            ("{podSelector: {}}", {"x/b"}),
            ("{namespaceSelector: {}}", {"x/b", "y/a", "y/b", "z/a"}),
            ("{namespaceSelector: {}, podSelector: {}}", {"x/b", "y/a", "y/b", "z/a"}),
            ("{podSelector: {matchLabels: {pod: a}}}", set()),
            ("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: z}}}", {"z/a"}),
        ],
    )
    def test_selectors_select_pods_of_their_namespaces(self, peer: str, admitted: set[str]) -> None:
        """And nobody outside, however wide they are; each namespace has its name as a label."""
        spec = f"{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}"
        found = {
            f"{each.metadata.namespace}/{each.metadata.name}"
            for each in (XB, YA, YB, ZA)
            if allowed(spec, each, XA)
        }
        assert found == admitted
        assert not allowed(spec, OUTSIDE, XA)

    @pytest.mark.parametrize(
        ("expression", "admitted"),
        [
            ("{key: pod, operator: In, values: [a]}", ["y/a"]),
            ("{key: pod, operator: NotIn, values: [a]}", ["y/b", "z/a"]),
            ("{key: pod, operator: Exists}", ["y/a", "y/b"]),
            ("{key: pod, operator: DoesNotExist}", ["z/a"]),
        ],
    )
    def test_expressions_that_deny_match_who_lacks_the_key(
        self, expression: str, admitted: list[str]
    ) -> None:
        """NotIn and DoesNotExist do, In and Exists do not."""
        spec = f"""{{podSelector: {{}}, ingress: [{{from: [
            {{namespaceSelector: {{}}, podSelector: {{matchExpressions: [{expression}]}}}}]}}]}}"""
        found = [
            f"{each.metadata.namespace}/{each.metadata.name}"
            for each in (YA, YB, ZA)
            if allowed(spec, each, XA)
        ]
        assert found == admitted

    def test_labels_and_all_expressions_hold_together(self) -> None:
        """Of a selector nothing is left out."""
        spec = """{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {
            matchLabels: {pod: a}, matchExpressions: [{key: pod, operator: NotIn, values: [a]}]}}]}]}"""
        assert not allowed(spec, YA, XA)

    def test_labels_count_as_they_are(self) -> None:
        """A pod or namespace with another label is another peer at once."""
        red = policy(
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]}"
        )
        later = tuple(attrs.evolve(each, metadata=Meta(each.metadata.name)) for each in NAMESPACES)
        assert ask([red], YA, XA).allows
        assert not ask([red], YA, XA, namespaces=later).allows

    def test_a_pod_behind_another_address_is_a_stranger(self) -> None:
        """Its labels are not on the packet."""
        snapshot = Snapshot(
            (policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"),), PODS, NAMESPACES
        )
        hidden = Connection(YA, NODE_1, XA, IpAddress.parse("10.244.0.2"), "TCP", 80)
        assert not meaning(snapshot, hidden).allows

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_a_pod_that_has_ended_leaves_its_labels_to_nobody(self, phase: str) -> None:
        """Who has its address now is judged by its own."""
        spec = policy("{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {pod: old}}}]}]}")
        old = pod("x/old", "10.244.0.3", phase=phase)
        assert not ask([spec], XB, XA, pods=(*PODS, old)).allows


class TestPorts:
    """What is asked of them."""

    @pytest.mark.parametrize(
        ("port", "admitted"),
        [
            ("{}", {"TCP/80", "TCP/81"}),
            ("{protocol: UDP}", {"UDP/80", "UDP/81"}),
            ("{port: 80}", {"TCP/80"}),
            ("{protocol: UDP, port: 81}", {"UDP/81"}),
            ("{protocol: SCTP, port: 81}", {"SCTP/81"}),
        ],
    )
    def test_a_protocol_says_nothing_for_another(self, port: str, admitted: set[str]) -> None:
        """Without one it is TCP; without a port all ports of it."""
        spec = f"{{podSelector: {{}}, ingress: [{{ports: [{port}]}}]}}"
        found = {
            f"{protocol}/{number}"
            for protocol in ("TCP", "UDP", "SCTP")
            for number in (80, 81)
            if allowed(spec, YA, XA, number, protocol)
        }
        assert found == admitted

    @pytest.mark.parametrize(
        ("port", "admitted"),
        [
            ("{port: 80, endPort: 82}", [80, 81, 82]),
            ("{port: 81, endPort: 81}", [81]),
            ("{port: 1, endPort: 65535}", [1, 79, 80, 81, 82, 83, 65535]),
        ],
    )
    def test_a_range_has_both_its_ends(self, port: str, admitted: list[int]) -> None:
        """And nothing beyond them."""
        spec = f"{{podSelector: {{}}, ingress: [{{ports: [{port}]}}]}}"
        asked = (1, 79, 80, 81, 82, 83, 65535)
        assert [each for each in asked if allowed(spec, YA, XA, each)] == admitted

    def test_a_name_is_the_targets_own_for_ingress(self) -> None:
        """Two pods may call different ports so."""
        spec = "{podSelector: {}, ingress: [{ports: [{port: web}]}]}"
        assert [allowed(spec, YA, XA, each) for each in (80, 8080)] == [True, False]
        assert [allowed(spec, YA, XB, each) for each in (80, 8080)] == [False, True]

    def test_a_name_is_the_targets_own_for_egress(self) -> None:
        """What the source calls so does not matter."""
        spec = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: web}]}]}"
        assert [allowed(spec, XA, XB, each) for each in (80, 8080)] == [False, True]
        assert [allowed(spec, XA, YA, each) for each in (80, 8080)] == [False, False]
        assert not allowed(spec, XA, OUTSIDE)

    def test_a_name_goes_with_its_protocol(self) -> None:
        """`dns` of UDP is none of TCP."""
        spec = "{podSelector: {}, ingress: [{ports: [{port: dns, protocol: %s}]}]}"
        assert allowed(spec % "UDP", YA, XA, 53, "UDP")
        assert not allowed(spec % "TCP", YA, XA, 53, "TCP")
        assert not allowed(spec % "TCP", YA, XA, 53, "UDP")

    def test_all_containers_give_names_and_sidecars_do(self) -> None:
        """Each number counts; an init container that ends gives none."""
        containers = (
            Container("one", ports=(ContainerPort(80, "web"),)),
            Container("two", ports=(ContainerPort(81, "web"),)),
        )
        init = (
            Container("sidecar", ports=(ContainerPort(82, "web"),), restart_policy="Always"),
            Container("setup", ports=(ContainerPort(83, "web"),)),
        )
        many = attrs.evolve(XA, spec=PodSpec(containers, init, node_name="n1"))
        rule = policy("{podSelector: {}, ingress: [{ports: [{port: web}]}]}")
        found = [each for each in (80, 81, 82, 83) if ask([rule], YA, many, each, pods=(many, YA)).allows]
        assert found == [80, 81, 82]

    def test_the_port_is_the_pods(self) -> None:
        """A rule that names a Service's port does not open the port behind it."""
        spec = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}"
        assert not allowed(spec, XA, XB, 8080)


class TestBlocks:
    """Addresses as peers."""

    def test_an_exception_takes_from_its_own_block_alone(self) -> None:
        """Another peer may admit the address again."""
        spec = """{podSelector: {}, ingress: [{from: [
            {ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.0/28]}}%s]}]}"""
        assert not allowed(spec % "", OUTSIDE, XA)
        assert allowed(spec % ", {ipBlock: {cidr: 198.51.100.7/32}}", OUTSIDE, XA)

    def test_it_matches_pods_by_their_addresses(self) -> None:
        """Behind a Service too: it is the pod's address that counts, not the Service's."""
        spec = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: %s}}]}]}"
        assert allowed(spec % "10.244.1.2/32", XA, YA)
        assert not allowed(spec % "10.96.0.0/12", XA, YA)

    def test_a_name_means_nothing_for_addresses_that_are_sent_to(self) -> None:
        """Not for a pod among them either; those that send to a pod may name its ports."""
        spec = """{podSelector: {}, policyTypes: [Egress], egress: [
            {to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: web}]}]}"""
        assert not allowed(spec, XA, OUTSIDE)
        assert not allowed(spec, XA, XB, 8080)
        spec = """{podSelector: {}, ingress: [
            {from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: web}]}]}"""
        assert allowed(spec, OUTSIDE, XB, 8080)

    @pytest.mark.parametrize(
        ("cidr", "exceptions", "inside"),
        [
            ("0.0.0.0/0", (), True),
            ("198.51.100.7/32", (), True),
            ("198.51.100.6/31", (), True),
            ("198.51.100.8/31", (), False),
            ("198.51.100.200/24", (), True),
            ("198.051.100.000/24", (), True),
            ("::/0", (), False),
            ("0.0.0.0/0", ("128.0.0.0/1",), False),
            ("0.0.0.0/0", ("0.0.0.0/1",), True),
            ("198.51.100.0/24", ("198.51.100.6/32", "198.51.100.8/32"), True),
        ],
    )
    def test_edges(self, cidr: str, exceptions: tuple[str, ...], *, inside: bool) -> None:
        """Host bits and leading zeros change nothing; a block of IPv6 has no address of IPv4."""
        assert block_contains(IpBlock(cidr, exceptions), OUTSIDE) == inside


class TestNodes:
    """Machines and pods on their network."""

    closed = policy("{podSelector: {}}")

    def test_its_own_node_always_reaches_a_pod(self) -> None:
        """And no other one."""
        answer = ask([self.closed], NODE_1, XA, node="n1")
        assert answer.ingress.exemption is Exemption.OWN_NODE
        assert answer.allows
        assert not ask([self.closed], NODE_1, XA, node="n2").allows

    def test_a_pod_reaches_itself(self) -> None:
        """What it sends to its own address never leaves it."""
        answer = ask([policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")], XA, XA)
        assert answer.allows
        assert answer.egress.exemption is answer.ingress.exemption is Exemption.LOOPBACK

    def test_a_pod_that_comes_back_to_itself_is_judged(self) -> None:
        """What a Service sends back to its sender has left it."""
        address = IpAddress.parse("10.244.0.2")
        by_service = Connection(XA, address, XA, address, "TCP", 80, by_service=True)
        assert not meaning(Snapshot((self.closed,), PODS, NAMESPACES), by_service).allows

    def test_a_pod_on_the_hosts_network_is_no_subject(self) -> None:
        """A policy that selects it closes no node."""
        host = pod("x/host", "172.18.0.2", host_network=True)
        answer = ask(
            [policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")], YA, host, pods=(*PODS, host)
        )
        assert answer.allows
        assert answer.ingress.exemption is Exemption.NO_POD

    @pytest.mark.parametrize(("peer", "passes"), [("node", False), ("pod", True)])
    def test_a_pod_on_the_hosts_network_is_a_peer_as_the_switch_has_it(
        self, peer: HostNetworkPeer, *, passes: bool
    ) -> None:
        """A node's address by default; by selectors if the cluster says so."""
        host = pod("y/host", "172.18.0.3", node="n2", host_network=True)
        spec = policy(
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]}"
        )
        node_2 = IpAddress.parse("172.18.0.3")
        answer = ask([spec], node_2, XA, node="n2", pods=(*PODS, host), host_network_peer=peer)
        assert answer.allows == passes
        block = policy("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 172.18.0.3/32}}]}]}")
        assert ask([block], node_2, XA, node="n2", pods=(*PODS, host)).allows
