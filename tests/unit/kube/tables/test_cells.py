# SPDX-License-Identifier: GPL-2.0-only
"""The tables of all kinds but pods, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.unit.kube.tables.conftest import Ask

CREATED = "2025-01-01T00:57:55Z"  # 2m5s before now
API = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "IngressClass": "networking.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
    "ServiceCIDR": "networking.k8s.io/v1",
    "IPAddress": "networking.k8s.io/v1",
}
PLAIN = {"Node", "Namespace", "IngressClass", "ServiceCIDR", "IPAddress"}


def manifest(kind: str, body: str = "", name: str = "x", **metadata: object) -> str:
    """Return a manifest in YAML; `body` is what stands in braces beside the metadata."""
    top = {
        "apiVersion": API.get(kind, "v1"),
        "kind": kind,
        "metadata": {
            "name": name,
            **({} if kind in PLAIN else {"namespace": "default"}),
            "creationTimestamp": CREATED,
            **metadata,
        },
        **(yaml.safe_load("{" + body + "}") or {}),
    }
    return yaml.safe_dump(top) + "---\n"


TEMPLATE = "template: {spec: {containers: [{name: a, image: nginx}, {name: b, image: 'busybox:1'}]}}"
SELECTOR = "selector: {matchLabels: {app: web}}"
BOTH = "a,b nginx,busybox:1"


@pytest.mark.parametrize(
    ("kind", "body", "wide"),
    [
        (
            "Node",
            "status: {conditions: [{type: Ready, status: 'True'}], nodeInfo: {kubeletVersion: v1.35.0, "
            "osImage: Debian, kernelVersion: 6.1, containerRuntimeVersion: 'containerd://2'}, "
            "addresses: [{type: InternalIP, address: 172.18.0.2}]}".replace("6.1", "'6.1'"),
            "x Ready <none> 2m5s v1.35.0 172.18.0.2 <none> Debian 6.1 containerd://2",
        ),
        (
            "Node",
            (
                "spec: {unschedulable: true}, status: {conditions: [{type: Ready, status: Unknown}], "
                "addresses: [{type: ExternalIP, address: 1.2.3.4}]}"
            ),
            "x NotReady,SchedulingDisabled <none> 2m5s  <none> 1.2.3.4 <unknown> <unknown> <unknown>",
        ),
        ("Node", "", "x Unknown <none> 2m5s  <none> <none> <unknown> <unknown> <unknown>"),
        ("Namespace", "", "x Active 2m5s"),
        ("ConfigMap", "data: {a: b, c: d}, binaryData: {e: Zg==}", "x 3 2m5s"),
        (
            "Service",
            (
                "spec: {clusterIP: 10.96.12.7, type: NodePort, selector: {b: c, a: b}, "
                "ports: [{port: 80, nodePort: 30080}, {port: 53, protocol: UDP}]}"
            ),
            "x NodePort 10.96.12.7 <none> 80:30080/TCP,53/UDP 2m5s a=b,b=c",
        ),
        ("Service", "spec: {clusterIP: None}", "x ClusterIP None <none> <none> 2m5s <none>"),
        (
            "Service",
            "spec: {type: ExternalName, externalName: example.com}",
            "x ExternalName <none> example.com <none> 2m5s <none>",
        ),
        (
            "Service",
            "spec: {clusterIP: 10.0.0.1, externalIPs: [1.1.1.1, 2.2.2.2]}",
            "x ClusterIP 10.0.0.1 1.1.1.1,2.2.2.2 <none> 2m5s <none>",
        ),
        (
            "Service",
            "spec: {clusterIP: 10.0.0.1, type: LoadBalancer}",
            "x LoadBalancer 10.0.0.1 <pending> <none> 2m5s <none>",
        ),
        (
            "Service",
            (
                "spec: {clusterIP: 10.0.0.1, type: LoadBalancer, externalIPs: [9.9.9.9]}, "
                "status: {loadBalancer: {ingress: [{ip: 2.2.2.2}, {hostname: a.example}]}}"
            ),
            "x LoadBalancer 10.0.0.1 2.2.2.2,a.example,9.9.9.9 <none> 2m5s <none>",
        ),
        ("Endpoints", "", "x <none> 2m5s"),
        (
            "Endpoints",
            "subsets: [{notReadyAddresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]",
            "x  2m5s",
        ),
        (
            "Endpoints",
            (
                "subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{port: 80}, {port: 443}]}, "
                "{addresses: [{ip: 'fd00::1'}]}]"
            ),
            "x 10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 2 more... 2m5s",
        ),
        (
            "EndpointSlice",
            (
                "addressType: IPv4, ports: [{port: 80}, {name: x}, {}], "
                "endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]"
            ),
            "x IPv4 80,x,* 10.0.0.1 2m5s",
        ),
        ("EndpointSlice", "addressType: IPv4", "x IPv4 <unset> <unset> 2m5s"),
        (
            "EndpointSlice",
            (
                "addressType: IPv4, ports: [{port: 1}, {port: 2}, {port: 3}, {port: 4}], "
                "endpoints: [{addresses: [a, b]}, {addresses: [c]}, {addresses: [d]}, {addresses: [e]}]"
            ),
            "x IPv4 1,2,3 + 1 more... a,b,c + 2 more... 2m5s",
        ),
        (
            "Deployment",
            (
                f"spec: {{replicas: 3, {SELECTOR}, {TEMPLATE}}}, "
                "status: {readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1}"
            ),
            f"x 2/3 3 1 2m5s {BOTH} app=web",
        ),
        (
            "ReplicaSet",
            f"spec: {{replicas: 3, {SELECTOR}, {TEMPLATE}}}, status: {{replicas: 2, readyReplicas: 1}}",
            f"x 3 2 1 2m5s {BOTH} app=web",
        ),
        (
            "ReplicationController",
            f"spec: {{replicas: 1, selector: {{app: web}}, {TEMPLATE}}}",
            f"x 1 0 0 2m5s {BOTH} app=web",
        ),
        ("StatefulSet", f"spec: {{replicas: 2, {SELECTOR}, {TEMPLATE}}}", f"x 0/2 2m5s {BOTH}"),
        (
            "DaemonSet",
            (
                f"spec: {{{SELECTOR}, {TEMPLATE}}}, status: {{desiredNumberScheduled: 3, "
                "currentNumberScheduled: 2, numberReady: 1, updatedNumberScheduled: 2, numberAvailable: 1}"
            ),
            f"x 3 2 1 2 1 <none> 2m5s {BOTH} app=web",
        ),
        (
            "Job",
            (
                f"spec: {{completions: 3, {SELECTOR}, {TEMPLATE}}}, status: {{succeeded: 3, "
                "startTime: '2025-01-01T00:58:00Z', completionTime: '2025-01-01T00:58:45Z', "
                "conditions: [{type: Complete, status: 'True'}]}"
            ),
            f"x Complete 3/3 45s 2m5s {BOTH} app=web",
        ),
        (
            "Job",
            "spec: {parallelism: 3}, status: {startTime: '2025-01-01T00:59:00Z'}",
            "x Running 0/1 of 3 60s 2m5s   <none>",
        ),
        ("Job", "", "x Running 0/1  2m5s   <none>"),
        (
            "CronJob",
            (
                f"spec: {{schedule: '*/5 * * * *', jobTemplate: {{spec: {{{TEMPLATE}}}}}}}, "
                "status: {active: [{name: y}], lastScheduleTime: '2025-01-01T00:55:00Z'}"
            ),
            f"x */5 * * * * <none> False 1 5m 2m5s {BOTH} <none>",
        ),
        ("NetworkPolicy", "spec: {podSelector: {}}", "x <none> 2m5s"),
        (
            "NetworkPolicy",
            (
                "spec: {podSelector: {matchLabels: {b: c}, matchExpressions: [{key: a, operator: In, "
                "values: [y, x]}, {key: d, operator: DoesNotExist}, {key: e, operator: Exists}, "
                "{key: f, operator: NotIn, values: [g]}]}}"
            ),
            "x a in (x,y),b=c,!d,e,f notin (g) 2m5s",
        ),
        ("Ingress", "spec: {rules: [{http: {paths: []}}]}", "x <none> *  80 2m5s"),
        (
            "Ingress",
            (
                "spec: {ingressClassName: nginx, tls: [{hosts: [a]}], rules: [{host: a}, {host: b}, "
                "{host: c}, {host: d}, {host: e}]}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}"
            ),
            "x nginx a,b,c + 2 more... 1.2.3.4 80, 443 2m5s",
        ),
        ("IngressClass", "spec: {controller: k8s.io/ingress-nginx}", "x k8s.io/ingress-nginx <none> 2m5s"),
        (
            "IngressClass",
            "spec: {controller: c, parameters: {apiGroup: g.io, kind: P, name: n}}",
            "x c P.g.io/n 2m5s",
        ),
        ("Secret", "type: kubernetes.io/tls, data: {a: b}, stringData: {c: d}", "x kubernetes.io/tls 2 2m5s"),
        ("ServiceAccount", "", "x 2m5s"),
        ("Lease", "spec: {holderIdentity: node-1}", "x node-1 2m5s"),
        ("ServiceCIDR", "spec: {cidrs: [10.96.0.0/12]}", "x 10.96.0.0/12 2m5s"),
        (
            "IPAddress",
            "spec: {parentRef: {resource: services, namespace: default, name: web}}",
            "x services/default/web",
        ),
        ("PersistentVolumeClaim", "", "x 2m5s"),
    ],
)
def test_cells(ask: Ask, kind: str, body: str, wide: str) -> None:
    """Each cell is what the API server makes of the object; here without the padding between them."""
    answer = ask(manifest(kind, body), kind.lower(), output="wide")
    header, row = answer.stdout.splitlines()
    assert squeezed(header, row) == wide


def squeezed(header: str, row: str) -> str:
    """Return the cells of a row, one blank between two; an empty one is nothing between two blanks."""
    names, at = [], 0
    for name in header.replace("   ", "\t").split("\t"):
        if name.strip():
            at = header.index(name.strip(), at)
            names.append(at)
            at += len(name.strip())
    ends = [*names[1:], None]
    return " ".join(row[begin:end].strip() for begin, end in zip(names, ends, strict=True)).rstrip()


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (
            "Node",
            "NAME|STATUS|ROLES|AGE|VERSION|INTERNAL-IP|EXTERNAL-IP|OS-IMAGE|KERNEL-VERSION|CONTAINER-RUNTIME",
        ),
        ("Pod", "NAME|READY|STATUS|RESTARTS|AGE|IP|NODE|NOMINATED NODE|READINESS GATES"),
        ("Service", "NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE|SELECTOR"),
        ("Endpoints", "NAME|ENDPOINTS|AGE"),
        ("EndpointSlice", "NAME|ADDRESSTYPE|PORTS|ENDPOINTS|AGE"),
        ("Deployment", "NAME|READY|UP-TO-DATE|AVAILABLE|AGE|CONTAINERS|IMAGES|SELECTOR"),
        ("ReplicaSet", "NAME|DESIRED|CURRENT|READY|AGE|CONTAINERS|IMAGES|SELECTOR"),
        ("ReplicationController", "NAME|DESIRED|CURRENT|READY|AGE|CONTAINERS|IMAGES|SELECTOR"),
        ("StatefulSet", "NAME|READY|AGE|CONTAINERS|IMAGES"),
        (
            "DaemonSet",
            "NAME|DESIRED|CURRENT|READY|UP-TO-DATE|AVAILABLE|NODE SELECTOR|AGE|CONTAINERS|IMAGES|SELECTOR",
        ),
        ("Job", "NAME|STATUS|COMPLETIONS|DURATION|AGE|CONTAINERS|IMAGES|SELECTOR"),
        ("NetworkPolicy", "NAME|POD-SELECTOR|AGE"),
        ("Ingress", "NAME|CLASS|HOSTS|ADDRESS|PORTS|AGE"),
        ("IngressClass", "NAME|CONTROLLER|PARAMETERS|AGE"),
        ("Namespace", "NAME|STATUS|AGE"),
        ("ConfigMap", "NAME|DATA|AGE"),
        ("Secret", "NAME|TYPE|DATA|AGE"),
        ("ServiceAccount", "NAME|AGE"),
    ],
)
def test_columns(ask: Ask, kind: str, columns: str) -> None:
    """Each kind has its columns, the wide ones behind the others."""
    header = ask(manifest(kind), kind.lower(), output="wide").stdout.splitlines()[0]
    assert header.split() == columns.replace("|", " ").split()


def test_columns_of_cron_jobs(ask: Ask) -> None:
    """LAST SCHEDULE is `<none>` before the first one."""
    text = ask(
        manifest("CronJob", "spec: {schedule: 1 * * * *, timeZone: Etc/UTC, suspend: true}"), "cj"
    ).stdout
    assert text == (
        "NAME   SCHEDULE    TIMEZONE   SUSPEND   ACTIVE   LAST SCHEDULE   AGE\n"
        "x      1 * * * *   Etc/UTC    True      0        <none>          2m5s\n"
    )


@pytest.mark.parametrize(
    ("kind", "version", "columns"),
    [
        ("Job", "1.29", ["NAME", "COMPLETIONS", "DURATION", "AGE"]),
        ("Job", "1.30", ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]),
        ("ServiceAccount", "1.34", ["NAME", "SECRETS", "AGE"]),
        ("ServiceAccount", "1.35", ["NAME", "AGE"]),
    ],
)
def test_columns_differ_by_version(ask: Ask, kind: str, version: str, columns: list[str]) -> None:
    """Columns came and went."""
    header = ask(manifest(kind), kind.lower(), version=version).stdout.splitlines()[0]
    assert header.split() == columns


def test_time_zones_of_cron_jobs_show_from_1_30(ask: Ask) -> None:
    """Before, there was no such column."""
    text = manifest("CronJob", "spec: {schedule: 1 * * * *}")
    assert "TIMEZONE" not in ask(text, "cj", version="1.29").stdout


@pytest.mark.parametrize(
    ("status", "version", "word"),
    [
        ("conditions: [{type: Failed, status: 'True'}]", "1.35", "Failed"),
        ("conditions: [{type: Suspended, status: 'True'}]", "1.35", "Suspended"),
        ("conditions: [{type: FailureTarget, status: 'True'}]", "1.34", "FailureTarget"),
        ("conditions: [{type: FailureTarget, status: 'True'}]", "1.33", "Running"),
        ("conditions: [{type: SuccessCriteriaMet, status: 'True'}]", "1.34", "SuccessCriteriaMet"),
        ("conditions: [{type: Complete, status: 'False'}]", "1.35", "Running"),
    ],
)
def test_status_of_jobs(ask: Ask, status: str, version: str, word: str) -> None:
    """The condition that is True gives the word."""
    text = manifest("Job", f"status: {{{status}}}")
    assert ask(text, "job", version=version, no_headers=True).stdout.split()[1] == word


def test_a_job_that_is_deleted_is_terminating(ask: Ask) -> None:
    """As long as it has not ended."""
    text = manifest("Job", deletionTimestamp=CREATED)
    assert ask(text, "job", no_headers=True).stdout.split()[1] == "Terminating"


def test_roles_of_nodes_come_from_labels(ask: Ask) -> None:
    """Both forms of the label count; the roles are sorted."""
    labels = {
        "node-role.kubernetes.io/worker": "",
        "node-role.kubernetes.io/control-plane": "",
        "kubernetes.io/role": "edge",
    }
    assert ask(manifest("Node", labels=labels), "no", no_headers=True).stdout.split()[2] == (
        "control-plane,edge,worker"
    )


def test_kernel_versions_have_the_architecture_from_1_36(ask: Ask) -> None:
    """The wide table then tells what the kernel runs on."""
    text = manifest("Node", "status: {nodeInfo: {kernelVersion: 6.1.0, architecture: amd64}}")
    assert "6.1.0 (amd64)" in ask(text, "no", output="wide", version="1.36").stdout
    assert "(amd64)" not in ask(text, "no", output="wide", version="1.35").stdout


def test_long_addresses_are_cut_unless_wide(ask: Ask) -> None:
    """Sixteen signs fit; of a longer text thirteen are shown."""
    status = "status: {loadBalancer: {ingress: [{hostname: abcdefghijklmnopq.example}]}}"
    text = manifest("Service", f"spec: {{type: LoadBalancer}}, {status}")
    assert ask(text, "svc", no_headers=True).stdout.split()[3] == "abcdefghijklm..."
    assert ask(text, "svc", no_headers=True, output="wide").stdout.split()[3] == "abcdefghijklmnopq.example"
    ingress = manifest("Ingress", f"spec: {{}}, {status}")
    assert ask(ingress, "ing", no_headers=True).stdout.split()[3] == "abcdefghijklm..."


def test_the_default_class_is_marked(ask: Ask) -> None:
    """By an annotation."""
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    text = manifest("IngressClass", "spec: {controller: c}", annotations=annotations)
    assert ask(text, "ingressclass", no_headers=True).stdout == "x (default)   c     <none>   2m5s\n"


def test_the_recorded_ingress_comes_out(ask: Ask) -> None:
    """An empty cell in the middle is blanks."""
    text = manifest(
        "Ingress",
        "spec: {ingressClassName: nginx, tls: [{}], rules: [{host: a.example.com}]}",
        name="ing",
    )
    assert ask(text, "ing").stdout == (
        "NAME   CLASS   HOSTS           ADDRESS   PORTS     AGE\n"
        "ing    nginx   a.example.com             80, 443   2m5s\n"
    )


class TestEvents:
    """The table of events."""

    TEXT = manifest(
        "Event",
        "involvedObject: {kind: Pod, name: web-1, fieldPath: 'spec.containers{web}'}, type: Normal, "
        'reason: Pulled, message: "Image is there\\nalready ", count: 3, '
        "source: {component: kubelet, host: n1}, "
        "firstTimestamp: '2025-01-01T00:50:00Z', lastTimestamp: '2025-01-01T00:59:00Z'",
        name="web-1.1",
    )

    def test_shows_when_it_was_last_seen(self, ask: Ask) -> None:
        """A message of several lines is cut behind the first."""
        assert ask(self.TEXT, "ev").stdout == (
            "LAST SEEN   TYPE     REASON   OBJECT      MESSAGE\n"
            "60s         Normal   Pulled   pod/web-1   Image is there...\n"
        )

    def test_has_more_on_request(self, ask: Ask) -> None:
        """Where it came from, how often it was seen, and its name."""
        assert ask(self.TEXT, "events", output="wide", no_headers=True).stdout == (
            "60s   Normal   Pulled   pod/web-1   spec.containers{web}   kubelet, n1   Image is there...   "
            "10m   3     web-1.1\n"
        )

    def test_series_count(self, ask: Ask) -> None:
        """Events of the new kind have their times elsewhere."""
        text = manifest(
            "Event",
            "eventTime: '2025-01-01T00:50:00.123456Z', count: 0, reportingComponent: c, "
            "series: {count: 7, lastObservedTime: '2025-01-01T00:59:50.000000Z'}, "
            "involvedObject: {kind: Node}",
        )
        cells = ask(text, "ev", output="wide", no_headers=True).stdout.split()
        assert cells == ["10s", "Normal", "node", "c", "10m", "7", "x"]
