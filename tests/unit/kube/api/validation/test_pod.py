# SPDX-License-Identifier: GPL-2.0-only
"""What Pods are refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.kube.api.validation.conftest import Check

HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"
ONE = "  containers: [{name: a, image: b}]\n"
PORTS = "  containers:\n  - name: a\n    image: b\n    ports:\n"
C = "$.spec.containers[0]"
EXACTLY_ONE = "may not specify more than 1 handler type"


def probe(text: str, key: str = "livenessProbe") -> str:
    """Return a container with a probe, which is on line 8."""
    return f"  containers:\n  - name: a\n    image: b\n    {key}: {text}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  nodeName: n", ["4 $.spec.containers Required value"]),
        ("  containers:\n  - image: b", [f"6 {C}.name Required value"]),
        ("  containers:\n  - name: a", [f"6 {C}.image Required value"]),
        (
            "  containers:\n  - {name: a.b, image: b}",
            [f'6 {C}.name Invalid value: "a.b": must not contain dots'],
        ),
        (
            f"{ONE}  initContainers:\n  - {{name: a, image: b}}",
            ['7 $.spec.initContainers[0].name Duplicate value: "a"'],
        ),
        (
            "  containers: [{name: a, image: b, imagePullPolicy: Sometimes}]",
            [
                (
                    f'5 {C}.imagePullPolicy Unsupported value: "Sometimes": '
                    'supported values: "Always", "IfNotPresent", "Never"'
                )
            ],
        ),
        (f"{PORTS}    - name: http", [f"9 {C}.ports[0].containerPort Required value"]),
        (
            f"{PORTS}    - containerPort: 65536",
            [f"9 {C}.ports[0].containerPort Invalid value: 65536: must be between 1 and 65535, inclusive"],
        ),
        (
            f"{PORTS}    - containerPort: 80\n      name: a-very-long-name",
            [f'10 {C}.ports[0].name Invalid value: "a-very-long-name": must be no more than 15 characters'],
        ),
        (
            f"{PORTS}    - {{containerPort: 80, name: a}}\n    - {{containerPort: 81, name: a}}",
            [f'10 {C}.ports[1].name Duplicate value: "a"'],
        ),
        (
            f"{PORTS}    - {{containerPort: 80, hostPort: 80}}\n    - {{containerPort: 81, hostPort: 80}}",
            [f'10 {C}.ports[1].hostPort Duplicate value: "TCP//80"'],
        ),
        (
            f"{PORTS}    - {{containerPort: 80, hostPort: 81}}\n  hostNetwork: true",
            [
                (
                    f"9 {C}.ports[0].hostPort Invalid value: 81: "
                    "must match `containerPort` when `hostNetwork` is true"
                )
            ],
        ),
        (f"{PORTS}    - {{containerPort: 80}}\n  hostNetwork: true", []),
        (
            f"{ONE}  restartPolicy: Sometimes",
            [
                (
                    '6 $.spec.restartPolicy Unsupported value: "Sometimes": '
                    'supported values: "Always", "OnFailure", "Never"'
                )
            ],
        ),
        (
            f"{ONE}  dnsPolicy: Cluster",
            [
                (
                    '6 $.spec.dnsPolicy Unsupported value: "Cluster": '
                    'supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"'
                )
            ],
        ),
        (
            f"{ONE}  dnsPolicy: None",
            ["4 $.spec.dnsConfig Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            f"{ONE}  dnsPolicy: None\n  dnsConfig: {{searches: [a]}}",
            [
                (
                    "7 $.spec.dnsConfig.nameservers Required value: "
                    "must provide at least one DNS nameserver when `dnsPolicy` is None"
                )
            ],
        ),
        (
            f"{ONE}  dnsConfig:\n    nameservers: [1.1.1.1, 2.2.2.2, 3.3.3.3, x]",
            [
                (
                    '7 $.spec.dnsConfig.nameservers Invalid value: ["1.1.1.1","2.2.2.2","3.3.3.3","x"]: '
                    "must not have more than 3 nameservers"
                ),
                (
                    '7 $.spec.dnsConfig.nameservers[3] Invalid value: "x": '
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                ),
            ],
        ),
        (f"{ONE}  dnsConfig: {{searches: [_tcp.a, ., a.]}}", []),
        (
            f"{ONE}  hostname: a.b\n  subdomain: c.d",
            [
                '6 $.spec.hostname Invalid value: "a.b": must not contain dots',
                '7 $.spec.subdomain Invalid value: "c.d": must not contain dots',
            ],
        ),
        (
            f"{ONE}  hostAliases:\n  - ip: 10.0.0.256\n    hostnames: [a]",
            [
                (
                    '7 $.spec.hostAliases[0].ip Invalid value: "10.0.0.256": '
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                )
            ],
        ),
        (
            f"{ONE}  terminationGracePeriodSeconds: -1",
            [
                (
                    "6 $.spec.terminationGracePeriodSeconds Invalid value: -1: "
                    "must be greater than or equal to 0"
                )
            ],
        ),
        (
            "  containers:\n  - name: a\n    image: b\n    volumeMounts:\n    - name: v\n      mountPath: /x",
            [f'9 {C}.volumeMounts[0].name Not found: "v"'],
        ),
        (probe("{}"), [f"8 {C}.livenessProbe Required value: must specify a handler type"]),
        (
            probe("{tcpSocket: {port: 1}, exec: {command: [a]}}"),
            [f"8 {C}.livenessProbe.tcpSocket Forbidden: {EXACTLY_ONE}"],
        ),
        (
            probe("{httpGet: {port: 0, scheme: http}}"),
            [
                f"8 {C}.livenessProbe.httpGet.port Invalid value: 0: must be between 1 and 65535, inclusive",
                (
                    f'8 {C}.livenessProbe.httpGet.scheme Unsupported value: "http": '
                    'supported values: "HTTP", "HTTPS"'
                ),
            ],
        ),
        (
            probe("{exec: {command: []}, periodSeconds: -1, successThreshold: 2}"),
            [
                f"8 {C}.livenessProbe.exec.command Required value",
                f"8 {C}.livenessProbe.periodSeconds Invalid value: -1: must be greater than or equal to 0",
                f"8 {C}.livenessProbe.successThreshold Invalid value: 2: must be 1",
            ],
        ),
        (probe("{tcpSocket: {port: http}, successThreshold: 2}", "readinessProbe"), []),
        (
            f"{ONE}  tolerations:\n  - {{effect: NoExecute}}\n  - {{key: a, tolerationSeconds: 5}}",
            [
                (
                    '7 $.spec.tolerations[0].operator Invalid value: "": operator must be Exists when `key` '
                    'is empty, which means "match all values and all keys"'
                ),
                (
                    '8 $.spec.tolerations[1].effect Invalid value: "": '
                    "effect must be 'NoExecute' when `tolerationSeconds` is set"
                ),
            ],
        ),
        (
            (
                f"{ONE}  topologySpreadConstraints:\n"
                "  - {maxSkew: 0, topologyKey: zone, whenUnsatisfiable: Never}"
            ),
            [
                "7 $.spec.topologySpreadConstraints[0].maxSkew Invalid value: 0: must be greater than zero",
                (
                    '7 $.spec.topologySpreadConstraints[0].whenUnsatisfiable Unsupported value: "Never": '
                    'supported values: "DoNotSchedule", "ScheduleAnyway"'
                ),
            ],
        ),
        (
            (
                f"{ONE}  affinity:\n    nodeAffinity:\n"
                "      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}\n"
                "    podAffinity:\n      preferredDuringSchedulingIgnoredDuringExecution:\n"
                "      - {weight: 0, podAffinityTerm: {topologyKey: ''}}"
            ),
            [
                (
                    "8 $.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
                    ".nodeSelectorTerms Required value: must have at least one node selector term"
                ),
                (
                    "11 $.spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
                    ".podAffinityTerm.topologyKey Required value: can not be empty"
                ),
                (
                    "11 $.spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
                    ".weight Invalid value: 0: must be in the range 1-100"
                ),
            ],
        ),
        (
            f"{ONE}status: {{podIP: nowhere}}",
            [
                (
                    '6 $.status.podIP Invalid value: "nowhere": '
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                )
            ],
        ),
    ],
)
def test_a_rule_that_is_broken_is_told_where_it_is_broken(
    errors: Check, spec: str, expected: list[str]
) -> None:
    """Each rule of Pods has its text, at the line of the key."""
    assert errors(HEAD + spec) == expected


def test_probes_of_what_ends_make_no_sense(errors: Check) -> None:
    """Only an init container that is restarted for ever may be probed."""
    text = HEAD + ONE + "  initContainers:\n  - {name: i, image: b, livenessProbe: {tcpSocket: {port: 1}}}"
    assert errors(text) == [
        (
            "7 $.spec.initContainers[0].livenessProbe Forbidden: "
            "may not be set for init containers without restartPolicy=Always"
        )
    ]
    assert errors(text.replace("name: i", "name: i, restartPolicy: Always")) == []


def test_containers_have_restart_rules_of_their_own_from_1_35_on(errors: Check) -> None:
    """Before, only init containers had them."""
    text = HEAD + "  containers: [{name: a, image: b, restartPolicy: Never}]"
    assert errors(text) == []
    assert errors(text, "1.34") == [f"5 {C}.restartPolicy Forbidden: may not be set for non-init containers"]


@pytest.mark.parametrize(
    ("second", "word"),
    [("{containerPort: 80}", "duplicate"), ("{containerPort: 80, hostPort: 80}", "overlapping")],
)
def test_one_port_told_twice_is_warned_of(warnings: Check, second: str, word: str) -> None:
    """It is not refused, and means nothing."""
    text = f"{HEAD}{PORTS}    - containerPort: 80\n    - {second}"
    assert warnings(text) == [f"10 {C}.ports[1] {word} port definition with spec.containers[0].ports[0]"]
