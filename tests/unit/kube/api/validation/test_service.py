# SPDX-License-Identifier: GPL-2.0-only
"""What Services are refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.kube.api.validation.conftest import Check

HEAD = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
RANGE = "must be between 1 and 65535, inclusive"
ONE = "  ports: [{port: 80}]\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  type: ClusterIP", ["4 $.spec.ports Required value"]),
        ("  clusterIP: None", []),
        (
            "  ports:\n  - port: 80\n  - {port: 81, name: b}",
            ["6 $.spec.ports[0].name Required value"],
        ),
        (
            "  ports:\n  - {port: 80, name: http}\n  - {port: 81, name: http}",
            ['7 $.spec.ports[1].name Duplicate value: "http"'],
        ),
        (
            "  ports:\n  - {port: 80, name: a}\n  - {port: 80, name: b}",
            [
                (
                    '7 $.spec.ports[1] Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,'
                    '"Port":80,"TargetPort":0,"NodePort":0}'
                )
            ],
        ),
        ("  ports:\n  - {port: 80, name: a}\n  - {port: 80, name: b, protocol: UDP}", []),
        (
            (
                "  type: NodePort\n  ports:\n  - {port: 1, name: a, nodePort: 30080}\n"
                "  - {port: 2, name: b, nodePort: 30080}"
            ),
            ["8 $.spec.ports[1].nodePort Duplicate value: 30080"],
        ),
        ("  ports:\n  - port: 70000", [f"6 $.spec.ports[0].port Invalid value: 70000: {RANGE}"]),
        ("  ports:\n  - port: 0", [f"6 $.spec.ports[0].port Invalid value: 0: {RANGE}"]),
        ("  ports:\n  - name: a", [f"6 $.spec.ports[0].port Invalid value: 0: {RANGE}"]),
        (
            "  ports:\n  - {port: 80, nodePort: 30080}",
            ["6 $.spec.ports[0].nodePort Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            "  ports:\n  - port: 80\n    targetPort: web--x",
            ['7 $.spec.ports[0].targetPort Invalid value: "web--x": must not contain consecutive hyphens'],
        ),
        (
            "  ports:\n  - port: 80\n    protocol: tcp",
            ['7 $.spec.ports[0].protocol Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            f"{ONE}  type: LoadBalancer\n  clusterIP: None",
            [
                (
                    '7 $.spec.clusterIPs[0] Invalid value: "None": '
                    "may not be set to 'None' for LoadBalancer services"
                )
            ],
        ),
        (
            f"{ONE}  type: NodePort\n  clusterIPs: [None]",
            [
                (
                    '7 $.spec.clusterIPs[0] Invalid value: "None": '
                    "may not be set to 'None' for NodePort services"
                )
            ],
        ),
        (
            "  type: ExternalName\n  clusterIP: 10.96.0.9",
            [
                "4 $.spec.externalName Required value",
                "6 $.spec.clusterIPs Forbidden: may not be set for ExternalName services",
            ],
        ),
        ("  type: ExternalName\n  externalName: db.example.com.", []),
        (
            f"{ONE}  externalTrafficPolicy: Local",
            [
                (
                    '6 $.spec.externalTrafficPolicy Invalid value: "Local": '
                    "may only be set for externally-accessible services"
                )
            ],
        ),
        (f"{ONE}  externalTrafficPolicy: Local\n  externalIPs: [192.0.2.1]", []),
        (
            f"{ONE}  type: NodePort\n  externalTrafficPolicy: local",
            [
                (
                    '7 $.spec.externalTrafficPolicy Unsupported value: "local": '
                    'supported values: "Cluster", "Local"'
                )
            ],
        ),
        (
            f"{ONE}  healthCheckNodePort: 30000",
            [
                (
                    "6 $.spec.healthCheckNodePort Invalid value: 30000: may only be set when `type` is "
                    "'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
                )
            ],
        ),
        (
            (
                f"{ONE}  loadBalancerSourceRanges: [10.0.0.0/8]\n  loadBalancerClass: a/b\n"
                "  allocateLoadBalancerNodePorts: false"
            ),
            [
                "6 $.spec.LoadBalancerSourceRanges Forbidden: may only be used when `type` is 'LoadBalancer'",
                "7 $.spec.loadBalancerClass Forbidden: may only be used when `type` is 'LoadBalancer'",
                (
                    "8 $.spec.allocateLoadBalancerNodePorts Forbidden: "
                    "may only be used when `type` is 'LoadBalancer'"
                ),
            ],
        ),
        (
            f"{ONE}  type: LoadBalancer\n  loadBalancerSourceRanges: [' 10.0.0.0/8 ', 10.0.0.0]",
            [
                (
                    '7 $.spec.loadBalancerSourceRanges[1] Invalid value: "10.0.0.0": '
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                )
            ],
        ),
        (
            f"{ONE}  type: Foo",
            [
                (
                    '6 $.spec.type Unsupported value: "Foo": '
                    'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
                )
            ],
        ),
        (
            f"{ONE}  trafficDistribution: X",
            [
                (
                    '6 $.spec.trafficDistribution Unsupported value: "X": '
                    'supported values: "PreferClose", "PreferSameZone", "PreferSameNode"'
                )
            ],
        ),
        (
            f"{ONE}  sessionAffinity: None\n  sessionAffinityConfig: {{clientIP: {{timeoutSeconds: 5}}}}",
            ["7 $.spec.sessionAffinityConfig Forbidden: must not be set when session affinity is None"],
        ),
        (
            (
                f"{ONE}  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP:\n"
                "      timeoutSeconds: 90000"
            ),
            [
                (
                    "9 $.spec.sessionAffinityConfig.clientIP.timeoutSeconds Invalid value: 90000: "
                    "must be greater than 0 and less than 86400"
                )
            ],
        ),
        (
            f"{ONE}  externalIPs:\n  - 127.0.0.1\n  - 169.254.1.1\n  - 0.0.0.0\n  - web",
            [
                (
                    '7 $.spec.externalIPs[0] Invalid value: "127.0.0.1": '
                    "may not be in the loopback range (127.0.0.0/8, ::1/128)"
                ),
                (
                    '8 $.spec.externalIPs[1] Invalid value: "169.254.1.1": '
                    "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
                ),
                '9 $.spec.externalIPs[2] Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
                (
                    '10 $.spec.externalIPs[3] Invalid value: "web": '
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                ),
            ],
        ),
        (
            f"{ONE}  ipFamilies: [IPv4, IPv4, IPv5]\n  ipFamilyPolicy: DualStack",
            [
                '6 $.spec.ipFamilies[1] Duplicate value: "IPv4"',
                '6 $.spec.ipFamilies[2] Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
                (
                    '7 $.spec.ipFamilyPolicy Unsupported value: "DualStack": '
                    'supported values: "PreferDualStack", "RequireDualStack", "SingleStack"'
                ),
            ],
        ),
    ],
)
def test_a_rule_that_is_broken_is_told_where_it_is_broken(
    errors: Check, spec: str, expected: list[str]
) -> None:
    """Each rule of Services has its text, at the line of the key."""
    assert errors(HEAD + spec) == expected


def test_names_may_start_with_a_digit_from_1_36_on(errors: Check) -> None:
    """Before, a Service's name is a label of RFC 1035."""
    text = f"apiVersion: v1\nkind: Service\nmetadata:\n  name: 1web\nspec:\n{ONE}"
    assert errors(text, "1.36") == []
    (error,) = errors(text, "1.35")
    assert error.startswith('4 $.metadata.name Invalid value: "1web": a DNS-1035 label must consist of')
    assert "(e.g. 'my-name',  or 'abc-123', regex used for validation is" in error


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            f"{ONE}  clusterIP: None\n  sessionAffinity: ClientIP",
            ["7 $.spec.sessionAffinity spec.SessionAffinity is ignored for headless services"],
        ),
        (
            f"{ONE}  externalName: a.example",
            ['6 $.spec.externalName spec.externalName is ignored when spec.type is not "ExternalName"'],
        ),
        (
            f"{ONE}  trafficDistribution: PreferClose",
            [
                (
                    '6 $.spec.trafficDistribution spec.trafficDistribution: "PreferClose" is deprecated; '
                    'use "PreferSameZone"'
                )
            ],
        ),
    ],
)
def test_what_is_only_odd_is_warned_of(warnings: Check, spec: str, expected: list[str]) -> None:
    """Such a Service is taken all the same."""
    assert warnings(HEAD + spec) == expected
