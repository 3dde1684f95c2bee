# SPDX-License-Identifier: GPL-2.0-only
"""Each family of fixes on a cluster that has its failure: shown, done, and the verdict is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from emu import lab
from emu.kube.api import codec
from emu.kube.api.objects import NetworkPolicy, Service
from emu.verify.fixes import Change, Command, Document
from emu.verify.fixes.remedy import manifest
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from pathlib import Path

    from emu.verify.fixes import Fix

CLUSTER = """
apiVersion: emu/v1
kind: Cluster
spec: {network: {PROVIDER}, nodes: [{name: node-1}, {name: node-2}]}
---
apiVersion: emu/v1
kind: Fabric
spec: {external: [{name: laptop, ip: 198.51.100.7}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: node-1, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: NODE, containers: [{name: c, image: nginx, ports: [{containerPort: 8080, name: http}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
"""


class Make(Protocol):
    """Makes a cluster of a client on node-1 and a web server."""

    def __call__(
        self, more: str = "", *, provider: str = "provider: kindnet", node: str = "node-2"
    ) -> lab.Cluster:
        """Return it with `more` documents.

        Args:
            more: further documents.
            provider: what `network` says.
            node: where the web server is.
        """


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """What makes clusters."""

    def load(more: str = "", *, provider: str = "provider: kindnet", node: str = "node-2") -> lab.Cluster:
        text = CLUSTER.replace("PROVIDER", provider).replace("NODE", node)
        path = tmp_path / "cluster.yaml"
        path.write_text(f"{text}\n---\n{more}" if more else text)
        found = lab.load(str(path))
        assert isinstance(found, lab.Cluster)
        return found

    return load


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}}}
spec: {spec}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {spec}
"""
OTHERS = """
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec: {nodeName: node-1, containers: [{name: c, image: busybox}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
      - {name: c, image: nginx, ports: [{containerPort: 8080, name: http}], readinessProbe: {PROBE}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{port: 80, targetPort: http}]}
"""


def policy(name: str, spec: str) -> str:
    """Return the manifest of a NetworkPolicy."""
    return POLICY.format(name=name, spec=spec)


def letting_in(peer: str) -> str:
    """Return the manifest of a policy by which one peer alone may come to the web server."""
    return policy("in", f"{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{peer}]}}]}}")


def service(name: str, spec: str) -> str:
    """Return the manifest of a Service."""
    return SERVICE.format(name=name, spec=spec)


def fixed(cluster: lab.Cluster, source: str, target: str, code: str) -> Fix:
    """Return the fix of a question that fails for `code`; done to the cluster itself it helps there."""
    flow = cluster.flow(source, target)
    assert flow.reason == code
    fix = flow.fix
    assert fix is not None
    assert max(map(len, fix.lines())) <= 78
    asked = fix.question
    target = target if asked is None else asked.target
    healthy = fix.apply(cluster.again())
    assert isinstance(healthy, type(cluster))
    assert healthy.flow(source, target).always
    return fix


def shown(fix: Fix) -> str:
    """Return the text of a fix."""
    return "\n".join(fix.lines())


def policy_of(fix: Fix) -> NetworkPolicy:
    """Return the policy that a fix changes, as it should be."""
    change = fix.remedies[0]
    assert isinstance(change, Change)
    assert isinstance(change.new, NetworkPolicy)
    return change.new


class TestServices:
    """A Service that leads nowhere."""

    @pytest.mark.parametrize("selector", ["{app: wbe}", "{ap: web}", "{app: web, tier: front}"])
    def test_selects_pods_that_there_are(self, make: Make, selector: str) -> None:
        """Those whose labels are nearest, if they listen there."""
        spec = f"{{selector: {selector}, ports: [{{port: 80, targetPort: 8080}}]}}"
        fix = fixed(make(service("wrong", spec)), "client", "svc/wrong", "SVC_NO_ENDPOINTS")
        change = fix.remedies[0]
        assert isinstance(change, Change)
        assert isinstance(change.new, Service)
        assert change.new.spec.selector == {"app": "web"}
        assert fix.manifests == (manifest(change.new),)

    def test_sends_to_a_port_that_listens(self, make: Make) -> None:
        """The patch names the port of the pod."""
        spec = "{selector: {app: web}, ports: [{port: 80}]}"
        fix = fixed(make(service("wrong", spec)), "client", "svc/wrong", "NO_SOCKET")
        assert "+       targetPort: 8080" in shown(fix)

    def test_names_a_port_that_there_is(self, make: Make) -> None:
        """By the name that is nearest."""
        spec = "{selector: {app: web}, ports: [{port: 80, targetPort: htpp}]}"
        fix = fixed(make(service("wrong", spec)), "client", "svc/wrong", "SVC_NO_ENDPOINTS")
        assert "+       targetPort: http" in shown(fix)

    def test_speaks_the_protocol_of_its_pods(self, make: Make) -> None:
        """And is asked by it."""
        spec = "{selector: {app: web}, ports: [{port: 80, protocol: UDP, targetPort: 8080}]}"
        fix = fixed(make(service("wrong", spec)), "client", "svc/wrong:80/udp", "NO_SOCKET")
        assert "emu trace client svc/wrong:80/tcp" in shown(fix)

    def test_is_asked_for_a_port_that_it_has(self, make: Make) -> None:
        """Whatever becomes of packets to the other one."""
        flow = make().flow("client", "svc/web:81")
        assert flow.fix is not None
        assert "emu trace client svc/web:80/tcp" in shown(flow.fix)

    def test_has_pods_started(self, make: Make) -> None:
        """If a workload of its labels has no replicas."""
        more = OTHERS.replace("REPLICAS", "0").replace("PROBE", "tcpSocket: {port: 8080}")
        fix = fixed(make(more), "client", "svc/shop/api", "SVC_NO_ENDPOINTS")
        assert "kubectl scale -n shop deploy/api --replicas=1" in shown(fix)

    @pytest.mark.parametrize("probe", ["tcpSocket: {port: 81}", "httpGet: {port: 81}"])
    def test_has_pods_become_ready(self, make: Make, probe: str) -> None:
        """By a probe that asks where they listen, in the workload that makes them."""
        more = OTHERS.replace("REPLICAS", "1").replace("PROBE", probe)
        fix = fixed(make(more), "client", "svc/shop/api", "SVC_NO_ENDPOINTS")
        assert "Deployment shop/api" in shown(fix)

    def test_is_passed_on_by_nodes_without_a_pod(self, make: Make) -> None:
        """Its policy is Cluster then."""
        spec = (
            "{type: NodePort, externalTrafficPolicy: Local, selector: {app: web}, "
            "ports: [{port: 80, targetPort: http, nodePort: 30081}]}"
        )
        cluster = make(service("local", spec))
        fix = fixed(cluster, "ext/laptop", "node/node-1:30081", "SVC_NO_LOCAL_ENDPOINT")
        assert "+   externalTrafficPolicy: Cluster" in shown(fix)

    def test_takes_pods_of_other_nodes(self, make: Make) -> None:
        """Inside the cluster, too."""
        spec = "{internalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80, targetPort: http}]}"
        fix = fixed(make(service("local", spec)), "client", "svc/local", "SVC_NO_LOCAL_ENDPOINT")
        assert "+   internalTrafficPolicy: Cluster" in shown(fix)

    def test_a_pod_is_asked_where_it_listens(self, make: Make) -> None:
        """No Service translates ports there."""
        fix = fixed(make(), "client", "web:80", "NO_SOCKET")
        assert "emu trace client web:8080" in shown(fix)


class TestPolicies:
    """A policy that keeps out who should come in."""

    def test_names_and_the_server_are_let_out(self, make: Make) -> None:
        """Two steps, for the first only leads to the second; the port of the pod counts."""
        cluster = make(policy("deny", "{podSelector: {}, policyTypes: [Egress]}"))
        fix = fixed(cluster, "client", "web.default:80", "NETPOL_EGRESS")
        assert len(fix.proposals) == 2
        text = shown(fix)
        assert "+     - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]" in text
        assert "port: 8080" in text

    def test_three_policies_need_three_steps(self, make: Make) -> None:
        """Names, the way out and the way in."""
        cluster = make(policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}"))
        fix = fixed(cluster, "client", "web.default:80", "NETPOL_EGRESS")
        assert [each.name for each in fix.remedies if isinstance(each, Change)] == [
            "NetworkPolicy default/deny",
            "NetworkPolicy default/allow-web-ingress",
        ]

    @pytest.mark.parametrize(
        ("source", "target", "wanted"),
        [
            ("client", "svc/web", ["podSelector"]),
            ("shop/client", "web:8080", ["namespaceSelector", "podSelector"]),
            ("ext/laptop", "web:8080", ["ipBlock"]),
        ],
    )
    def test_a_rule_lets_in_who_asks(self, make: Make, source: str, target: str, wanted: list[str]) -> None:
        """A pod by its labels, and its namespace if that is another; anybody else by the address."""
        more = OTHERS.replace("REPLICAS", "0").replace("PROBE", "tcpSocket: {port: 8080}")
        cluster = make(f"{letting_in('{podSelector: {matchLabels: {a: b}}}')}---{more}")
        fix = fixed(cluster, source, target, "NETPOL_INGRESS")
        peer = policy_of(fix).spec.ingress[1].from_[0]
        assert sorted(codec.write_part(peer)) == wanted

    def test_a_cluster_ip_and_its_port_become_pods_and_theirs(self, make: Make) -> None:
        """Policies see packets behind the translation."""
        rule = "{to: [{ipBlock: {cidr: 10.96.0.0/12}}], ports: [{port: 80}]}"
        spec = f"{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}"
        fix = fixed(make(policy("out", spec)), "client", "svc/web", "NETPOL_EGRESS")
        text = shown(fix)
        assert "-         - ipBlock: {cidr: 10.96.0.0/12}" in text
        assert "+         - podSelector: {matchLabels: {app: web}}" in text
        assert "+           port: 8080" in text

    def test_the_address_of_a_client_outside_is_kept(self, make: Make) -> None:
        """Where the policy names it, and a node has put its own in its place."""
        cluster = make(letting_in("{ipBlock: {cidr: 198.51.100.0/24}}"))
        fix = fixed(cluster, "ext/laptop", "node/node-1:30080", "NETPOL_INGRESS")
        assert "+   externalTrafficPolicy: Local" in shown(fix)
        assert fix.question is not None
        assert fix.question.target == "node/node-2:30080/tcp"

    def test_two_selectors_become_two_peers(self, make: Make) -> None:
        """Where the other one meets but one of them."""
        peer = "{podSelector: {matchLabels: {app: client}}, namespaceSelector: {matchLabels: {team: a}}}"
        fix = fixed(make(letting_in(peer)), "client", "svc/web", "NETPOL_INGRESS")
        assert len(policy_of(fix).spec.ingress[0].from_) == 2

    def test_another_namespace_is_said(self, make: Make) -> None:
        """Where labels alone were to mean pods of any."""
        more = OTHERS.replace("REPLICAS", "0").replace("PROBE", "tcpSocket: {port: 8080}")
        cluster = make(f"{letting_in('{podSelector: {matchLabels: {app: client}}}')}---{more}")
        fix = fixed(cluster, "shop/client", "svc/web", "NETPOL_INGRESS")
        assert "matchLabels: {kubernetes.io/metadata.name: shop}" in shown(fix)

    def test_policies_that_nobody_enforces_get_an_agent(self, make: Make) -> None:
        """Here the question succeeds, and the fix ends that."""
        more = policy("deny", "{podSelector: {}, policyTypes: [Ingress]}")
        cluster = make(more, provider="provider: flannel")
        flow = cluster.flow("client", "svc/web")
        assert flow.always
        assert flow.fix is not None
        assert flow.fix.verdict.word is Word.NEVER
        assert "+     policy: iptables" in shown(flow.fix)

    def test_policies_that_would_change_nothing_need_no_agent(self, make: Make) -> None:
        """A question that they allow succeeds either way."""
        more = policy("allow", "{podSelector: {}, ingress: [{}]}")
        assert make(more, provider="provider: flannel").flow("client", "svc/web").fix is None


class TestSettings:
    """A setting of a node, of its bridge, or of the network provider."""

    def test_the_policy_of_forward(self, make: Make) -> None:
        """One command for each node that drops."""
        cluster = make(provider="provider: kubenet")
        for node in ("node-1", "node-2"):
            cluster.node(node).run("iptables -P FORWARD DROP")
        fix = fixed(cluster, "client", "web:8080", "FORWARD_POLICY_DROP")
        assert {each.host for each in fix.remedies if isinstance(each, Command)} <= {
            "node/node-1",
            "node/node-2",
        }

    def test_forwarding(self, make: Make) -> None:
        """Switched on where it is off."""
        cluster = make()
        cluster.node("node-1").run("sysctl -w net.ipv4.ip_forward=0")
        fix = fixed(cluster, "client", "svc/web", "IP_FORWARD_OFF")
        assert "in node/node-1: sysctl -w net.ipv4.ip_forward=1" in shown(fix)

    def test_bridged_answers_are_translated_back(self, make: Make) -> None:
        """Where client and server are on one bridge."""
        cluster = make(provider="provider: kubenet", node="node-1")
        cluster.node("node-1").run("sysctl -w net.bridge.bridge-nf-call-iptables=0")
        fix = fixed(cluster, "client", "svc/web", "REPLY_NOT_UNNATED")
        assert "sysctl -w net.bridge.bridge-nf-call-iptables=1" in shown(fix)

    def test_hairpin_by_the_provider(self, make: Make) -> None:
        """Where its option keeps it off."""
        cluster = make(provider="provider: flannel, hairpin: false")
        fix = fixed(cluster, "web", "svc/web", "BRIDGE_HAIRPIN_OFF")
        assert isinstance(fix.remedies[0], Document)

    def test_hairpin_on_the_port(self, make: Make) -> None:
        """Where somebody has switched it off there."""
        cluster = make(provider="provider: flannel")
        node = cluster.node("node-2")
        for port in [name for name in node.net.devices if name.startswith("veth")]:
            node.run(f"bridge link set dev {port} hairpin off")
        fix = fixed(cluster, "web", "svc/web", "BRIDGE_HAIRPIN_OFF")
        assert "hairpin on" in shown(fix)

    @pytest.mark.parametrize(
        ("rule", "code"),
        [
            ('FORWARD -p tcp --dport 8080 -m comment --comment "of mine" -j DROP', "NETFILTER_DROP"),
            ("INPUT -p udp --dport 8472 -j DROP", "UNDERLAY_FILTER"),
        ],
    )
    def test_rules_written_by_hand_are_deleted(self, make: Make, rule: str, code: str) -> None:
        """The command names the rule as it was given."""
        cluster = make(provider="provider: flannel")
        cluster.node("node-2").run(f"iptables -I {rule}")
        fix = fixed(cluster, "client", "svc/web", code)
        assert "in node/node-2: iptables -t filter -D " in shown(fix)

    def test_tunnels_take_another_port(self, make: Make) -> None:
        """Where something eats Linux's own, whatever that is."""
        cluster = make(provider="provider: flannel")
        cluster.node("node-2").run("iptables -N EATS")
        cluster.node("node-2").run("iptables -A EATS -p udp --dport 8472 -j DROP")
        cluster.node("node-2").run("iptables -I INPUT -j EATS")
        cluster.node("node-2").run("iptables -I INPUT -p udp --dport 8472 -j DROP")
        fix = fixed(cluster, "client", "svc/web", "UNDERLAY_FILTER")
        assert "+     port: 4789" in shown(fix)


class TestRanges:
    """The pods' range holds addresses of others."""

    def test_pods_get_another_one(self, make: Make) -> None:
        """Nobody on the way is in it."""
        nodes = "[{name: node-1, addresses: [192.168.0.11/24]}, {name: node-2, addresses: [192.168.0.12/24]}]"
        cluster = make(provider=f"provider: flannel}}, podCIDR: 192.168.0.0/16, nodes: {nodes}}} #")
        flow = cluster.flow("client", "svc/web")
        assert flow.never
        assert flow.fix is not None
        assert "+   podCIDR: 10.244.0.0/16" in shown(flow.fix)


class TestNames:
    """A name that nobody knows."""

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("api.default.svc.cluster.local:80", "api.shop.svc.cluster.local:80"),
            ("apo.shop:80", "api.shop:80"),
            ("api.shpo:80", "api.shop:80"),
        ],
    )
    def test_another_one_is_asked(self, make: Make, wrong: str, right: str) -> None:
        """The Service's, in its own namespace."""
        more = OTHERS.replace("REPLICAS", "1").replace("PROBE", "tcpSocket: {port: 8080}")
        fix = fixed(make(more), "client", wrong, "DNS_NXDOMAIN")
        assert fix.question is not None
        assert fix.question.target == right

    @pytest.mark.parametrize(
        ("spec", "wanted"),
        [("hostNetwork: true", "ClusterFirstWithHostNet"), ("dnsPolicy: Default", "ClusterFirst")],
    )
    def test_the_cluster_is_asked(self, make: Make, spec: str, wanted: str) -> None:
        """Where the pod asks its node's name server."""
        more = f"""
apiVersion: v1
kind: Pod
metadata: {{name: asker}}
spec: {{nodeName: node-1, {spec}, containers: [{{name: c, image: busybox}}]}}
"""
        fix = fixed(make(more), "asker", "web.default.svc.cluster.local:80", "DNS_NXDOMAIN")
        assert f"dnsPolicy: {wanted}" in shown(fix)
