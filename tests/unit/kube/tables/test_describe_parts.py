# SPDX-License-Identifier: GPL-2.0-only
"""Parts of descriptions that are only there sometimes."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.kube.tables.conftest import Ask


def pod(text: str) -> str:
    """Return a pod of `spec`, `status` and more metadata, given as YAML."""
    return f"apiVersion: v1\nkind: Pod\n{dedent(text)}"


@pytest.mark.parametrize(
    ("volume", "lines"),
    [
        ("hostPath: {path: /x}", ["HostPath (bare host directory volume)", "Path: /x", "HostPathType:"]),
        ("emptyDir: {medium: Memory, sizeLimit: 1Gi}", ["Medium: Memory", "SizeLimit: 1Gi"]),
        ("secret: {secretName: s}", ["Secret (a volume populated by a Secret)", "Optional: false"]),
        ("configMap: {name: c, optional: true}", ["Name: c", "Optional: true"]),
        ("persistentVolumeClaim: {claimName: p}", ["ClaimName: p", "ReadOnly: false"]),
        ("nfs: {server: s, path: /, readOnly: true}", ["Server: s", "Path: /", "ReadOnly: true"]),
        ("downwardAPI: {}", ["DownwardAPI (a volume populated by information about the pod)"]),
        ("csi: {driver: d}", ["Type: csi"]),
        ("projected: {sources: [{secret: {name: s}}]}", ["SecretName: s", "Optional: false"]),
    ],
)
def test_volumes_have_their_details(tell: Ask, volume: str, lines: list[str]) -> None:
    """Each type has its own; one that is not modelled is named."""
    text = pod(f"metadata: {{name: x, namespace: default}}\nspec: {{volumes: [{{name: v, {volume}}}]}}")
    written = " ".join(tell(text, "po").stdout.split())
    assert [line for line in lines if line not in written] == []


def test_a_pod_that_is_deleted(tell: Ask) -> None:
    """It says since when, and how long it may take."""
    text = pod(
        """
        metadata: {name: x, namespace: default, deletionTimestamp: "2025-01-01T00:59:55Z",
          deletionGracePeriodSeconds: 30}
        status: {phase: Running, reason: Gone, message: It went, nominatedNodeName: n}
        """
    )
    written = tell(text, "po").stdout
    for line in ("Status:                    Terminating (lasts 5s)", "Termination Grace Period:  30s"):
        assert line in written
    assert "Reason:                    Gone\nMessage:                   It went\n" in written
    assert "NominatedNodeName:         n\n" in written
    assert "Node:                      <none>\n" in written
    assert "IPs:                       <none>\n" in written
    assert "Containers: <none>\n" in written


def test_states_of_containers(tell: Ask) -> None:
    """Waiting with its reason, terminated with all that is known."""
    text = pod(
        """
        metadata: {name: x, namespace: default}
        spec: {containers: [{name: a}, {name: b}, {name: c}]}
        status:
          containerStatuses:
          - {name: a, state: {waiting: {reason: ImagePullBackOff}}}
          - {name: b, state: {terminated: {exitCode: 137, signal: 9, message: killed}}}
          - {name: c}
        """
    )
    written = tell(text, "po").stdout
    assert "    State:          Waiting\n      Reason:       ImagePullBackOff\n" in written
    assert (
        "    State:          Terminated\n"
        "      Message:      killed\n"
        "      Exit Code:    137\n"
        "      Signal:       9\n"
        "      Started:      Mon, 01 Jan 0001 00:00:00 +0000\n"
    ) in written


def test_readiness_gates_and_tolerations(tell: Ask) -> None:
    """A gate without its condition is `<none>`; a toleration of everything is said so."""
    text = pod(
        """
        metadata: {name: x, namespace: default}
        spec: {readinessGates: [{conditionType: lb}, {conditionType: dns}], tolerations: [{operator: Exists}]}
        status: {conditions: [{type: lb, status: "True"}]}
        """
    )
    written = tell(text, "po").stdout
    assert "Readiness Gates:\n  Type  Status\n  lb    True \n  dns   <none> \nConditions:\n" in written
    assert "op=Exists\n" in written


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ("{}", "BestEffort"),
        ("{requests: {cpu: 1}}", "Burstable"),
        ("{limits: {cpu: 1, memory: 1Gi}}", "Guaranteed"),
        ("{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}", "Burstable"),
    ],
)
def test_classes_of_service_follow_from_resources(tell: Ask, resources: str, quality: str) -> None:
    """Where the status has none."""
    containers = f"[{{name: a, resources: {resources}}}]"
    text = pod(f"metadata: {{name: x, namespace: default}}\nspec: {{containers: {containers}}}")
    assert f"QoS Class: {quality}" in " ".join(tell(text, "po").stdout.split())


def test_ports_have_no_names_before_1_34(tell: Ask) -> None:
    """They came with that version."""
    ports = "[{name: a, ports: [{containerPort: 80, name: http}]}]"
    text = pod(f"metadata: {{name: x, namespace: default}}\nspec: {{containers: {ports}}}")
    assert "    Port:         80/TCP\n" in tell(text, "po", version="1.33").stdout
    assert "    Port:         80/TCP (http)\n" in tell(text, "po", version="1.34").stdout


def test_variables_from_elsewhere(tell: Ask) -> None:
    """Fields of the pod are looked up; prefixes and keys are named."""
    text = pod(
        """
        metadata: {name: x, namespace: default, labels: {a: b}, annotations: {c: d}}
        spec:
          containers:
          - name: a
            env:
            - {name: L, valueFrom: {fieldRef: {fieldPath: "metadata.labels['a']"}}}
            - {name: N, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['c']"}}}
            - {name: M, value: "x\\ny"}
            - {name: C, valueFrom: {configMapKeyRef: {name: m, key: k, optional: true}}}
            envFrom: [{prefix: P_, secretRef: {name: s, optional: true}}]
            volumeMounts: [{name: v, mountPath: /x}]
        """
    )
    block = dedent(
        """\
        Environment Variables from:
          s  Secret with prefix 'P_'  Optional: true
        Environment:
          L:  b (v1:metadata.labels['a'])
          N:  d (v1:metadata.annotations['c'])
          M:  x
              y
          C:  <set to the key 'k' of config map 'm'>  Optional: true
        """
    )
    assert indent(block, "    ") in tell(text, "po").stdout


def test_long_annotations_are_cut(tell: Ask) -> None:
    """They begin on a line of their own, and end after 138 signs."""
    text = f"apiVersion: v1\nkind: Node\nmetadata: {{name: x, annotations: {{k: {'a' * 200}}}}}"
    assert f"Annotations:        k:\n                      {'a' * 138}...\n" in tell(text, "no").stdout


INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i, namespace: default}
spec: {defaultBackend: %s}
"""


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        ("{service: {name: gone, port: {number: 80}}}", 'gone:80 (<error: services "gone" not found>)'),
        ("{resource: {apiGroup: g.io, kind: B, name: b}}", "APIGroup: g.io, Kind: B, Name: b"),
        ("{resource: {kind: B, name: b}}", "APIGroup: <none>, Kind: B, Name: b"),
    ],
)
def test_default_backends(tell: Ask, backend: str, text: str) -> None:
    """Without rules they stand in their table, too."""
    written = tell(INGRESS % backend, "ing").stdout
    assert f"Default backend:  {text}\n" in written
    assert f"  *           *     {text}\n" in written


def test_a_class_with_parameters(tell: Ask) -> None:
    """They are named one a line."""
    text = """
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: c}
        spec: {controller: x, parameters: {apiGroup: g, kind: K, name: n}}
        """
    written = tell(dedent(text), "ingressclass").stdout
    assert "Parameters:\n  APIGroup:  g\n  Kind:      K\n  Name:      n\n" in written


def test_a_template_with_more(tell: Ask) -> None:
    """Init containers, account, annotations and class of priority are there if given."""
    text = """
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: s, namespace: default}
        spec:
          selector: {matchLabels: {a: b}}
          updateStrategy: {rollingUpdate: {partition: 2, maxUnavailable: 1}}
          template:
            metadata: {annotations: {c: d}}
            spec: {serviceAccountName: me, priorityClassName: high, initContainers: [{name: i}]}
        """
    written = tell(dedent(text), "sts").stdout
    for line in (
        "  Partition:        2\n  MaxUnavailable:   1\n",
        "  Annotations:      c: d\n  Service Account:  me\n  Init Containers:\n   i:\n",
        "  Priority Class Name:  high\n",
        "Volume Claims:          <none>\n",
    ):
        assert line in written
