# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.source import source_of
from emu.cluster.topology.places import Places, Subject
from emu.verify.lint import CHECKS, Finding, Severity, lint
from emu.verify.lint.report import github, report, text

TABLE = Path(__file__).parents[3] / "docs" / "reference" / "lint.md"


@attrs.frozen
class Case:
    """A check, an input that trips it on the line marked `#!`, what is said, and an input that does not."""

    code: str
    faulty: str
    says: str
    sound: str


def cluster(*lines: str) -> str:
    """Return a Cluster document whose spec has these lines."""
    spec = "".join(f"  {line}\n" for line in lines)
    return f"apiVersion: emu/v1\nkind: Cluster\nspec:\n{spec}---\n"


def pod(name: str, ports: str = "", *more: str, namespace: str = "default", status: str = "{}") -> str:
    """Return a pod that has its name as the label `app`."""
    spec = "".join(f", {each}" for each in more)
    meta = f"{{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}"
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {meta}\n"
        f"spec: {{containers: [{{name: c, image: i, ports: [{ports}]}}]{spec}}}\nstatus: {status}\n---\n"
    )


def service(*lines: str) -> str:
    """Return a Service `web` whose spec has these lines."""
    spec = "".join(f"  {line}\n" for line in lines)
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n{spec}---\n"


def policy(*lines: str) -> str:
    """Return a policy `p` whose spec has these lines."""
    spec = "".join(f"  {line}\n" for line in lines)
    head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
    return f"{head}spec:\n{spec}---\n"


def ingress(*lines: str, name: str = "web") -> str:
    """Return an Ingress for a Service."""
    spec = "".join(f"  {line}\n" for line in lines)
    head = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop}\n"
    backend = f"{{service: {{name: {name}, port: {{number: 80}}}}}}"
    mark = "  #!" if "#!" not in spec else ""
    return f"{head}spec:\n{spec}  defaultBackend: {backend}{mark}\n---\n"


def regex(path: str) -> str:
    """Return an Ingress whose path is a regular expression."""
    words, _, mark = path.partition("  ")
    return (
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
        "metadata: {name: shop, annotations: {nginx.ingress.kubernetes.io/use-regex: 'true'}}\n"
        "spec:\n  rules:\n  - http:\n      paths:\n"
        f"      - path: {words}  {mark}\n        pathType: ImplementationSpecific\n"
        "        backend: {service: {name: web, port: {number: 80}}}\n---\n"
    )


ONE, TWO = cluster("nodes: [{name: n1}]"), cluster("nodes: [{name: n1}, {name: n2}]")
WEB = pod("web", "{name: http, containerPort: 8080}")
HOST = pod("host", "", "hostNetwork: true")
SERVED = service("selector: {app: web}", "ports: [{port: 80, targetPort: 8080}]")
OF_WEB = "podSelector: {matchLabels: {app: web}}"
TEAM = "{apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {t: a}}}\n---\n"
CLIENTS = TEAM + pod("client", namespace="team") + pod("other", namespace="team") + pod("client")
KUBE_DNS = (
    "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, "
    "podSelector: {matchLabels: {k8s-app: kube-dns}}}"
)
FABRIC = "apiVersion: emu/v1\nkind: Fabric\nspec:\n  external:\n  - {name: a, ip: 198.51.100.7}\n"

CASES = [
    Case(
        "ranges-overlap",
        cluster("podCIDR: 192.168.0.0/16", "nodes:", "- name: n1", "  addresses: [192.168.50.2/24]  #!"),
        "the nodes' network 192.168.50.0/24 overlaps with the pods' range 192.168.0.0/16 (in.yaml:4)",
        cluster("podCIDR: 10.0.0.0/16", "nodes: [{name: n1, addresses: [192.168.50.2/24]}]"),
    ),
    Case(
        "duplicate-address",
        ONE + FABRIC + "  - {name: b, ip: 198.51.100.7}  #!\n",
        "outside host b has the address 198.51.100.7, and so has outside host a",
        ONE + FABRIC + "  - {name: b, ip: 198.51.100.8}\n",
    ),
    Case(
        "duplicate-address",
        ONE
        + pod("a", "", "nodeName: n1", status="{phase: Running, podIP: 10.244.0.9}")
        + pod("b", "", "nodeName: n1", status="{phase: Running, podIP: 10.244.0.9} #!"),
        "pod default/b has the address 10.244.0.9, and so has pod default/a",
        ONE
        + pod("a", "", "nodeName: n1", status="{phase: Running, podIP: 10.244.0.9}")
        + pod("b", "", "nodeName: n1", status="{phase: Succeeded, podIP: 10.244.0.9}"),
    ),
    Case(
        "object-repeated",
        ONE + WEB + WEB.replace("apiVersion: v1\n", "apiVersion: v1  #!\n"),
        "stands in the input 2 times (in.yaml:6, in.yaml:12), and the last one counts",
        ONE + WEB + pod("web", namespace="team"),
    ),
    Case(
        "service-selects-nothing",
        ONE + WEB + service("ports: [{port: 80, targetPort: 8080}]", "selector: {app: wbe}  #!"),
        "no pod of namespace default has the labels app=wbe",
        ONE + WEB + service("ports: [{port: 80, targetPort: 8080}]", "selector: {app: web}"),
    ),
    Case(
        "target-port-unknown",
        ONE + WEB + service("selector: {app: web}", "ports:", "- {port: 80, targetPort: htpt}  #!"),
        "no selected pod has a TCP port called htpt",
        ONE + WEB + service("selector: {app: web}", "ports:", "- {port: 80, targetPort: http}"),
    ),
    Case(
        "target-port-undeclared",
        ONE + WEB + service("selector: {app: web}", "ports:", "- {port: 80}  #!"),
        "no container of the selected pods declares TCP port 80",
        ONE + pod("web") + service("selector: {app: web}", "ports: [{port: 80}]"),
    ),
    Case(
        "headless-port-differs",
        ONE
        + WEB
        + service("clusterIP: None", "selector: {app: web}", "ports: [{port: 80, targetPort: http}]  #!"),
        "is headless, so port 80 becomes nothing else: clients have to ask 8080",
        ONE
        + WEB
        + service("clusterIP: None", "selector: {app: web}", "ports: [{port: 8080, targetPort: http}]"),
    ),
    Case(
        "local-without-endpoint",
        TWO
        + WEB
        + service(
            "type: NodePort",
            "selector: {app: web}",
            "ports: [{port: 80, targetPort: http}]",
            "externalTrafficPolicy: Local  #!",
        ),
        "no endpoint: what comes from outside is dropped",
        ONE
        + WEB
        + service(
            "type: NodePort",
            "selector: {app: web}",
            "ports: [{port: 80, targetPort: http}]",
            "externalTrafficPolicy: Local",
        ),
    ),
    Case(
        "policy-not-enforced",
        cluster("nodes: [{name: n1}]", "network: {provider: flannel}")
        + WEB
        + policy(OF_WEB).replace("spec:", "spec:  #!"),
        "has no effect: flannel enforces none",
        cluster("nodes: [{name: n1}]", "network: {provider: flannel, policy: iptables}")
        + WEB
        + policy(OF_WEB),
    ),
    Case(
        "policy-selects-nothing",
        ONE + WEB + policy("podSelector: {matchLabels: {app: wbe}}  #!"),
        "is about no pod: none of namespace default has these labels",
        ONE + WEB + policy(OF_WEB),
    ),
    Case(
        "policy-peer-selects-nothing",
        ONE + WEB + policy(OF_WEB, "ingress:", "- from:", "  - podSelector: {matchLabels: {app: x}}  #!"),
        "means no pod: none of namespace default has these labels",
        ONE + WEB + policy(OF_WEB, "ingress:", "- from:", "  - podSelector: {matchLabels: {app: web}}"),
    ),
    Case(
        "policy-peers-or",
        ONE
        + WEB
        + CLIENTS
        + policy(
            OF_WEB,
            "ingress:",
            "- from:",
            "  - namespaceSelector: {matchLabels: {t: a}}  #!",
            "  - podSelector: {matchLabels: {app: client}}",
        ),
        "allows traffic from 3 pods: every pod of the namespaces (2), or of default with the labels (1); "
        "as one peer the two selectors would mean 1 pod",
        ONE
        + WEB
        + CLIENTS
        + policy(
            OF_WEB,
            "ingress:",
            "- from:",
            "  - namespaceSelector: {matchLabels: {t: a}}",
            "    podSelector: {matchLabels: {app: client}}",
        ),
    ),
    Case(
        "policy-on-host-network",
        ONE + HOST + policy("podSelector: {}  #!"),
        "selects pod default/host on the host's network, to which policies do not apply",
        ONE + HOST + WEB + policy(OF_WEB),
    ),
    Case(
        "policy-peer-on-host-network",
        ONE
        + HOST
        + WEB
        + policy(OF_WEB, "ingress:", "- from:", "  - podSelector: {matchLabels: {app: host}}  #!"),
        "means pod default/host on the host's network, whose packets have the node's address",
        ONE + HOST + WEB + policy(OF_WEB, "ingress:", "- from:", "  - podSelector: {}"),
    ),
    Case(
        "policy-port-unknown",
        ONE + WEB + policy(OF_WEB, "ingress:", "- ports:", "  - {port: htpt}  #!"),
        "none of the pods that it selects has a TCP port called htpt: it allows nothing",
        ONE + WEB + policy(OF_WEB, "ingress:", "- ports: [{port: http}]"),
    ),
    Case(
        "policy-port-of-service",
        ONE
        + WEB
        + service("selector: {app: web}", "ports: [{port: 80, targetPort: http}]")
        + policy(OF_WEB, "ingress:", "- ports:", "  - {port: 80}  #!"),
        "port 80 is that of svc/default/web, and policies see the pod's: 8080",
        ONE
        + WEB
        + service("selector: {app: web}", "ports: [{port: 80, targetPort: http}]")
        + policy(OF_WEB, "ingress:", "- ports: [{port: 8080}]"),
    ),
    Case(
        "egress-forgets-dns",
        ONE + WEB + policy(OF_WEB, "egress:  #!", "- to: [{podSelector: {}}]"),
        "cuts 1 pod off from DNS: no rule allows UDP 53 to the pods of kube-dns",
        ONE + WEB + policy(OF_WEB, "egress:", f"- to: [{KUBE_DNS}]", "  ports: [{protocol: UDP, port: 53}]"),
    ),
    Case(
        "ip-block-of-cluster-ips",
        ONE
        + WEB
        + policy(OF_WEB, "egress:", "- {}", "- to:", "  - ipBlock:", "      cidr: 10.96.0.10/32  #!"),
        "10.96.0.10/32 is in the Services' range",
        ONE + WEB + policy(OF_WEB, "egress:", "- {}", "- to: [{ipBlock: {cidr: 0.0.0.0/0}}]"),
    ),
    Case(
        "ip-block-of-pods",
        ONE + WEB + policy(OF_WEB, "ingress:", "- from:", "  - ipBlock: {cidr: 10.244.1.0/24}  #!"),
        "10.244.1.0/24 is in the pods' range",
        ONE + WEB + policy(OF_WEB, "ingress:", "- from:", "  - ipBlock: {cidr: 10.0.0.0/8}"),
    ),
    Case(
        "ip-block-behind-nat",
        ONE
        + WEB
        + service("type: NodePort", "selector: {app: web}", "ports: [{port: 80, targetPort: http}]")
        + policy(OF_WEB, "ingress:", "- from:", "  - ipBlock: {cidr: 203.0.113.0/24}  #!"),
        "clients of 203.0.113.0/24 that come by svc/default/web have a node's address",
        ONE
        + WEB
        + service("selector: {app: web}", "ports: [{port: 80, targetPort: http}]")
        + policy(OF_WEB, "ingress:", "- from:", "  - ipBlock: {cidr: 203.0.113.0/24}"),
    ),
    Case(
        "ingress-class-unknown",
        ONE + WEB + SERVED + ingress("ingressClassName: ngnix  #!"),
        "there is no IngressClass ngnix",
        ONE + WEB + SERVED + ingress("ingressClassName: nginx"),
    ),
    Case(
        "ingress-leads-nowhere",
        ONE + WEB + SERVED + ingress("ingressClassName: nginx", name="wbe"),
        "there is no Service default/wbe: requests get a 503",
        ONE + WEB + SERVED + ingress("ingressClassName: nginx"),
    ),
    Case(
        "ingress-default-certificate",
        ONE + WEB + SERVED + ingress("tls:", "- {hosts: [web.example], secretName: gone}  #!"),
        "Secret default/gone is not there: clients of web.example get the controller's own certificate",
        ONE + WEB + SERVED + ingress("tls:", "- {hosts: [web.example]}"),
    ),
    Case(
        "ingress-pattern",
        ONE + WEB + SERVED + regex("/fo(  #!"),
        "'/fo(' is no regular expression that is modelled: the path is left out",
        ONE + WEB + SERVED + regex("/fo(.*)"),
    ),
    Case(
        "ingress-pattern",
        ONE + WEB + SERVED + regex("/x(a+)+$  #!"),
        "'/x(a+)+$' may take more than 10000000 steps for a path of 64 letters: such requests get a 500",
        ONE + WEB + SERVED + regex("/x(a+)$"),
    ),
    Case(
        "ingress-other-host",
        ONE
        + service("type: ExternalName", "externalName: api.example.com", "ports: [{port: 80}]")
        + ingress(),
        "api.example.com is asked for the host of the Ingress, not for its own name",
        ONE + WEB + SERVED + ingress(),
    ),
]


def found(words: str) -> list[Finding]:
    """Return the findings of an input."""
    documents = document.parse(words, "in.yaml")
    started = source_of(documents, "in.yaml").start()
    assert isinstance(started, Cluster)
    return lint(started, Places(documents))


def marked(words: str) -> int:
    """Return the number of the line that has the mark."""
    return next(number for number, line in enumerate(words.splitlines(), 1) if "#!" in line)


class TestEachCheck:
    """What trips it, and what does not."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
    def test_it_finds_the_mistake_on_its_line(self, case: Case) -> None:
        """The finding has the file, the line of the field, and says what is wrong."""
        mine = [each for each in found(case.faulty) if each.code == case.code]
        assert [(each.file, each.line) for each in mine] == [("in.yaml", marked(case.faulty))]
        assert case.says in mine[0].message

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
    def test_it_is_silent_where_nothing_is_wrong(self, case: Case) -> None:
        """What looks alike and is meant is no finding."""
        assert [each for each in found(case.sound) if each.code == case.code] == []

    def test_each_has_a_case(self) -> None:
        """No check is without a mistake that it finds."""
        assert {case.code for case in CASES} == {check.code for check in CHECKS}


class TestDns:
    """What lets a pod ask the DNS, and what does not."""

    @pytest.mark.parametrize(
        "rule",
        [
            "- {}",
            "- ports: [{protocol: UDP, port: 53}]",
            "- ports: [{protocol: UDP, port: 1, endPort: 100}]",
            "- ports: [{protocol: UDP, port: dns}]",
            "- to: [{namespaceSelector: {}}]",
            "- to: [{ipBlock: {cidr: 10.244.0.0/16}}]",
        ],
    )
    def test_a_rule_allows_it(self, rule: str) -> None:
        """Whatever names the pods of the DNS and their UDP port is enough."""
        assert "egress-forgets-dns" not in {
            each.code for each in found(ONE + WEB + policy(OF_WEB, "egress:", rule))
        }

    @pytest.mark.parametrize(
        "rule",
        [
            "- ports: [{protocol: TCP, port: 53}]",
            "- ports: [{protocol: UDP, port: 54, endPort: 100}]",
            "- to: [{podSelector: {}}]",
            "- to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.244.0.0/16]}}]",
            "- to: [{ipBlock: {cidr: 10.96.0.10/32}}]",
        ],
    )
    def test_a_rule_does_not_allow_it(self, rule: str) -> None:
        """Another port, other pods, and the address of the Service are not enough."""
        assert "egress-forgets-dns" in {
            each.code for each in found(ONE + WEB + policy(OF_WEB, "egress:", rule))
        }

    def test_another_policy_may_allow_it(self) -> None:
        """Policies add up."""
        other = policy("podSelector: {}", "egress: [{ports: [{protocol: UDP, port: 53}]}]").replace(
            "p}", "q}"
        )
        words = ONE + WEB + policy(OF_WEB, "policyTypes: [Egress]") + other
        assert "egress-forgets-dns" not in {each.code for each in found(words)}

    def test_a_pod_that_asks_others_is_passed_over(self) -> None:
        """`dnsPolicy: Default` is the node's resolver."""
        words = ONE + pod("web", "", "dnsPolicy: Default") + policy(OF_WEB, "policyTypes: [Egress]")
        assert "egress-forgets-dns" not in {each.code for each in found(words)}


class TestTemplates:
    """Pods that do not run yet are meant, too."""

    WORKLOAD = (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0, "
        "selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, "
        "spec: {containers: [{name: c, image: i}]}}}}\n---\n"
    )

    def test_a_workload_without_pods_is_selected(self) -> None:
        """A Deployment that is scaled to nothing is no mistake of its Service or policy."""
        words = ONE + self.WORKLOAD + service("selector: {app: web}", "ports: [{port: 80}]") + policy(OF_WEB)
        assert found(words) == []


class TestWhatEmuAdds:
    """Nobody can mend what is not in the input."""

    def test_it_is_not_told_of(self) -> None:
        """The DNS and the API server's Service are no findings, whatever they are like."""
        assert found(ONE + WEB) == []


class TestPlaces:
    """Where something stands."""

    def test_objects_in_lists_are_found(self) -> None:
        """The items of a List have lines of their own."""
        words = "apiVersion: v1\nkind: PodList\nitems:\n- metadata:\n    name: a\n- metadata:\n    name: b\n"
        places = Places(document.parse(words, "in.yaml"))
        assert places.find(Subject("Pod", "default", "b"), "$.metadata.name") == (
            "in.yaml",
            7,
            "$.items[1].metadata.name",
        )

    def test_a_path_that_ends_early_is_the_last_line_there_is(self) -> None:
        """A field that was left out is told of where it would be."""
        places = Places(document.parse("kind: Namespace\nmetadata: {name: a}\nspec:\n  x: 1\n", "in.yaml"))
        assert places.find(Subject("Namespace", "", "a"), "$.spec.y").line == 3


class TestReports:
    """How findings are written."""

    ONE = Finding("a,b.yaml", 3, "$.spec", Severity.NOTE, "some-code", "Pod x/y", "is 100% odd", "mend it")

    def test_text_has_the_place_first(self) -> None:
        """Editors and people find the line."""
        assert text([self.ONE]) == "a,b.yaml:3: note: Pod x/y: is 100% odd [some-code]\n    mend it"

    def test_github_shows_it_beside_the_line(self) -> None:
        """What a workflow command cannot hold is escaped."""
        assert github([self.ONE]) == (
            "::notice file=a%2Cb.yaml,line=3,title=some-code::Pod x/y: is 100%25 odd; mend it"
        )

    def test_json_has_everything(self) -> None:
        """A machine gets each part by its name."""
        keys = ["file", "line", "path", "severity", "code", "object", "message", "remedy"]
        assert [list(each) for each in report([self.ONE])] == [keys]


def test_the_reference_lists_every_check() -> None:
    """The table in the documentation has each code with its severity, and no other, in order."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(check.code, check.severity.value) for check in CHECKS]
