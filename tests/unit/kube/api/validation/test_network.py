# SPDX-License-Identifier: GPL-2.0-only
"""What NetworkPolicies, Ingresses, EndpointSlices, Endpoints and Nodes are refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.kube.api.validation.conftest import Check

POLICY = (
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}\n"
)
INGRESS = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec:\n"
PATH = f"{INGRESS}  rules:\n  - http:\n      paths:\n"
BACKEND = "backend: {service: {name: web, port: {number: 80}}}"
SLICE = (
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\n"
    "addressType: IPv4\nports: [{port: 80}]\n"
)
ENDPOINTS = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets:\n"
NODE = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"
RANGE = "must be between 1 and 65535, inclusive"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
SUBSET = "must be a strict subset of `cidr`"
FROM = "$.spec.ingress[0].from[0]"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("  ingress:\n  - from:\n    - {}", [f"8 {FROM} Required value: must specify a peer"]),
        (
            "  ingress:\n  - from:\n    - podSelector: {}\n      ipBlock: {cidr: 10.0.0.0/8}",
            [f"8 {FROM} Forbidden: may not specify both ipBlock and another peer"],
        ),
        (
            "  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.1}",
            [f'8 {FROM}.ipBlock.cidr Invalid value: "10.0.0.1": {CIDR}'],
        ),
        ("  ingress:\n  - from:\n    - ipBlock: {}", [f"8 {FROM}.ipBlock.cidr Required value"]),
        (
            (
                "  ingress:\n  - from:\n    - ipBlock:\n        cidr: 10.0.0.0/8\n"
                "        except: [10.1.0.0/16, 11.0.0.0/16, 10.0.0.0/8]"
            ),
            [
                f'10 {FROM}.ipBlock.except[1] Invalid value: "11.0.0.0/16": {SUBSET}',
                f'10 {FROM}.ipBlock.except[2] Invalid value: "10.0.0.0/8": {SUBSET}',
            ],
        ),
        (
            (
                "  egress:\n  - ports:\n    - {port: 80, endPort: 79}\n    - {port: http, endPort: 80}\n"
                "    - {endPort: 80}\n    - {port: 0, protocol: tcp}\n    - {port: 80, endPort: 70000}"
            ),
            [
                (
                    "8 $.spec.egress[0].ports[0].endPort Invalid value: 79: "
                    "must be greater than or equal to `port`"
                ),
                (
                    "9 $.spec.egress[0].ports[1].endPort Invalid value: 80: "
                    "may not be specified when `port` is non-numeric"
                ),
                (
                    "10 $.spec.egress[0].ports[2].endPort Invalid value: 80: "
                    "may not be specified when `port` is not specified"
                ),
                f"11 $.spec.egress[0].ports[3].port Invalid value: 0: {RANGE}",
                (
                    '11 $.spec.egress[0].ports[3].protocol Unsupported value: "tcp": '
                    'supported values: "TCP", "UDP", "SCTP"'
                ),
                f"12 $.spec.egress[0].ports[4].endPort Invalid value: 70000: {RANGE}",
            ],
        ),
        (
            "  policyTypes: [ingress]",
            [('6 $.spec.policyTypes[0] Unsupported value: "ingress": supported values: "Ingress", "Egress"')],
        ),
        (
            "  policyTypes: [Ingress, Egress, Ingress]",
            [
                (
                    '6 $.spec.policyTypes Invalid value: ["Ingress","Egress","Ingress"]: '
                    "may not specify more than two policyTypes"
                )
            ],
        ),
        ("  ingress:\n  - {}\n  egress: []\n  policyTypes: [Ingress, Egress]", []),
        ("  ingress:\n  - from:\n    -", [f"8 {FROM} Required value: must specify a peer"]),
        (
            "  ingress:\n  - from:\n    - {podSelector: null, namespaceSelector: null}",
            [f"8 {FROM} Required value: must specify a peer"],
        ),
        ("  ingress:\n  - from:\n    - {podSelector: {}, namespaceSelector: {}}", []),
        (
            "  ingress:\n  - from:\n    - ipBlock: {cidr: a, except: [b]}",
            [f'8 {FROM}.ipBlock.cidr Invalid value: "a": {CIDR}'],
        ),
        (
            "  ingress:\n  - from:\n    - ipBlock: {cidr: '::/0', except: [10.0.0.0/8]}",
            [f'8 {FROM}.ipBlock.except[0] Invalid value: "10.0.0.0/8": {SUBSET}'],
        ),
        ("  ingress:\n  - from:\n    - ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 1.2.3.4/32]}", []),
        ("  ingress:\n  - ports:\n    - {}\n    - {port: 80, endPort: 80}\n    - {protocol: SCTP}", []),
        (
            "  ingress:\n  - ports:\n    - {protocol: ''}",
            [
                (
                    '8 $.spec.ingress[0].ports[0].protocol Unsupported value: "": '
                    'supported values: "TCP", "UDP", "SCTP"'
                )
            ],
        ),
        (
            "  ingress:\n  - ports:\n    - {port: '80'}",
            ['8 $.spec.ingress[0].ports[0].port Invalid value: "80": must contain at least one letter (a-z)'],
        ),
        (
            "  ingress:\n  - ports:\n    - {port: 80, endPort: 0}",
            [
                f"8 $.spec.ingress[0].ports[0].endPort Invalid value: 0: {RANGE}",
                (
                    "8 $.spec.ingress[0].ports[0].endPort Invalid value: 0: "
                    "must be greater than or equal to `port`"
                ),
            ],
        ),
        ("  policyTypes: [Ingress, Ingress]", []),
        ("  policyTypes: []", []),
    ],
)
def test_policies_say_who_and_which_port(errors: Check, rules: str, expected: list[str]) -> None:
    """Peers, blocks and ranges of ports have to make sense."""
    assert errors(POLICY + rules) == expected


@pytest.mark.parametrize("spec", ["", "spec:", "spec: {}", "spec: {policyTypes: [Ingress]}"])
def test_a_policy_without_a_selector_is_taken(errors: Check, spec: str) -> None:
    """It is the empty one: an API server asks for none."""
    assert errors(POLICY.partition("spec:")[0] + spec) == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{key: a, operator: ''}", 'operator Invalid value: "": not a valid selector operator'),
        (
            "{key: a, operator: Gt, values: ['1']}",
            'operator Invalid value: "Gt": not a valid selector operator',
        ),
        ("{key: a}", "operator Required value"),
        ("{operator: Exists}", "key Required value"),
        ("{key: a, operator: Exists, values: [b]}", "values Forbidden: may not be specified when"),
        ("{key: a, operator: In, values: []}", "values Required value: must be specified when"),
        ("{key: '', operator: Exists}", 'key Invalid value: "": name part must be non-empty'),
    ],
)
@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("  podSelector: {matchExpressions: [%s]}", "$.spec.podSelector"),
        ("  ingress:\n  - from:\n    - podSelector: {matchExpressions: [%s]}", f"{FROM}.podSelector"),
        (
            "  egress:\n  - to:\n    - namespaceSelector: {matchExpressions: [%s]}",
            "$.spec.egress[0].to[0].namespaceSelector",
        ),
    ],
)
def test_selectors_of_policies_are_checked(
    errors: Check, where: str, path: str, expression: str, expected: str
) -> None:
    """That of the pods and those of peers."""
    head = (
        POLICY if "podSelector" not in where or "from" in where else POLICY.replace("  podSelector: {}\n", "")
    )
    found = [each.partition(" ")[2] for each in errors(head + where % expression)]
    assert any(each.startswith(f"{path}.matchExpressions[0].{expected}") for each in found), found


@pytest.mark.parametrize(
    ("cidr", "older", "strict"),
    [
        ("10.0.0.0/8", "", ""),
        ("010.0.0.0/8", "non-standard CIDR value", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.0/08", "non-standard CIDR value", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.1/8", "is ambiguous in this context", "must not have bits set beyond the prefix length"),
        ("::ffff:10.0.0.0/104", "non-standard CIDR value", "must not have an IPv4-mapped IPv6 address"),
        ("2001:DB8::/32", "should be in RFC 5952 canonical format", ""),
    ],
)
def test_blocks_are_written_as_the_version_wants(
    errors: Check, warnings: Check, cidr: str, older: str, strict: str
) -> None:
    """What was warned of at first is refused today: one complaint each."""
    text = f"{POLICY}  ingress:\n  - from:\n    - ipBlock: {{cidr: '{cidr}'}}"
    assert errors(text, version="1.35") == []
    told = warnings(text, version="1.35")
    assert len(told) == bool(older)
    assert all(older in each for each in told)
    refused = errors(text, version="1.36")
    assert len(refused) == bool(strict)
    assert all(each.endswith(strict) for each in refused)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{INGRESS}  ingressClassName: nginx",
            ["4 $.spec Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        ),
        (
            f"{INGRESS}  rules:\n  - host: 1.2.3.4",
            ['6 $.spec.rules[0].host Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
        ),
        (f"{INGRESS}  rules:\n  - host: '*.example.com'", []),
        (f"{PATH}      - {{path: /, {BACKEND}}}", ["pathType Required value: pathType must be specified"]),
        (
            f"{PATH}      - {{path: x, pathType: Prefix, {BACKEND}}}",
            ['path Invalid value: "x": must be an absolute path'],
        ),
        (
            f"{PATH}      - {{path: /a//b/.., pathType: Exact, {BACKEND}}}",
            [
                "path Invalid value: \"/a//b/..\": cannot end with '/..'",
                "path Invalid value: \"/a//b/..\": must not contain '//'",
            ],
        ),
        (f"{PATH}      - {{path: /a//b, pathType: ImplementationSpecific, {BACKEND}}}", []),
        (
            f"{PATH}      - {{path: /, pathType: prefix, {BACKEND}}}",
            [
                (
                    'pathType Unsupported value: "prefix": '
                    'supported values: "Exact", "ImplementationSpecific", "Prefix"'
                )
            ],
        ),
        (
            f"{PATH}      - {{path: /, pathType: Exact, backend: {{service: {{name: web}}}}}}",
            ["backend Required value: port name or number is required"],
        ),
        (
            (
                f"{PATH}      - {{path: /, pathType: Exact, "
                "backend: {service: {name: web, port: {name: a, number: 1}}}}"
            ),
            ['backend Invalid value: "": cannot set both port name & port number'],
        ),
        (
            (
                f"{PATH}      - {{path: /, pathType: Exact, "
                "backend: {service: {name: web, port: {number: 1}}, resource: {kind: A, name: b}}}"
            ),
            ['backend Invalid value: "": cannot set both resource and service backends'],
        ),
        (
            f"{PATH}      - {{path: /, pathType: Exact, backend: {{}}}}",
            ['backend Invalid value: "": resource or service backend is required'],
        ),
    ],
)
def test_an_ingress_says_which_path_goes_where(errors: Check, text: str, expected: list[str]) -> None:
    """Hosts, paths and backends have their rules."""
    place = "8 $.spec.rules[0].http.paths[0]."
    assert errors(text) == [one if one[0].isdigit() else place + one for one in expected]


def test_a_wildcard_host_has_one_star_in_front(errors: Check) -> None:
    """`*` alone stands for nothing."""
    (error,) = errors(f"{INGRESS}  rules:\n  - host: '*'")
    assert error.startswith(
        "6 $.spec.rules[0].host Invalid value: \"*\": a wildcard DNS-1123 subdomain must start with '*.'"
    )


def test_an_ingress_class_names_its_controller(errors: Check) -> None:
    """By a domain and a path."""
    text = (
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: a}\nspec: {controller: nginx}"
    )
    assert errors(text) == [
        '4 $.spec.controller Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")'
    ]
    assert errors(text.replace("nginx", "k8s.io/ingress-nginx")) == []


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ("endpoints:\n- addresses: [10.0.0.1]", []),
        (
            "endpoints:\n- conditions: {ready: true}",
            ["7 $.endpoints[0].addresses Required value: must contain at least 1 address"],
        ),
        (
            "endpoints:\n- addresses: ['fd00::1', 127.0.0.1, 169.254.0.1, 224.0.0.1]",
            [
                '7 $.endpoints[0].addresses[0] Invalid value: "fd00::1": must be a valid IPv4 address',
                (
                    '7 $.endpoints[0].addresses[1] Invalid value: "127.0.0.1": '
                    "may not be in the loopback range (127.0.0.0/8, ::1/128)"
                ),
                (
                    '7 $.endpoints[0].addresses[2] Invalid value: "169.254.0.1": '
                    "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
                ),
                (
                    '7 $.endpoints[0].addresses[3] Invalid value: "224.0.0.1": '
                    "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
                ),
            ],
        ),
        (
            f"endpoints:\n- addresses: [{', '.join(['10.0.0.1'] * 101)}]",
            ["7 $.endpoints[0].addresses Too many: 101: must have at most 100 items"],
        ),
        (
            f"endpoints: [{', '.join(['{addresses: [10.0.0.1]}'] * 1001)}]",
            ["6 $.endpoints Too many: 1001: must have at most 1000 items"],
        ),
    ],
)
def test_endpoints_have_addresses_that_can_be_reached(
    errors: Check, endpoints: str, expected: list[str]
) -> None:
    """Of the slice's family, and not special ones."""
    assert errors(SLICE + endpoints) == expected


def test_a_slice_says_its_family_and_names_its_ports(errors: Check) -> None:
    """The names differ; without one a port is called by the empty name."""
    text = SLICE.replace("IPv4", "IP").replace("[{port: 80}]", "[{port: 80}, {port: 81}]")
    assert errors(text) == [
        '4 $.addressType Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"',
        '5 $.ports[1].name Duplicate value: ""',
    ]
    assert errors(SLICE.replace("addressType: IPv4\n", "")) == ["1 $.addressType Required value"]


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        (
            "- ports: [{port: 80}]",
            ["5 $.subsets[0] Required value: must specify `addresses` or `notReadyAddresses`"],
        ),
        (
            "- addresses: [{ip: 10.0.0.1}]\n  ports: [{port: 80}, {port: 0, name: b}]",
            [
                "6 $.subsets[0].ports[0].name Required value",
                f"6 $.subsets[0].ports[1].port Invalid value: 0: {RANGE}",
            ],
        ),
        (
            "- addresses: [{ip: '::1'}]",
            [
                (
                    '5 $.subsets[0].addresses[0].ip Invalid value: "::1": '
                    "may not be in the loopback range (127.0.0.0/8, ::1/128)"
                )
            ],
        ),
    ],
)
def test_endpoints_objects_have_the_same_rules(errors: Check, subset: str, expected: list[str]) -> None:
    """They are the older form of slices."""
    assert errors(ENDPOINTS + subset) == expected


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("spec: {podCIDR: 10.244.1.0}", [f'4 $.spec.podCIDR Invalid value: "10.244.1.0": {CIDR}']),
        (
            "spec:\n  podCIDRs: [10.244.1.0/24, 10.244.2.0/24]",
            [
                (
                    '5 $.spec.podCIDRs Invalid value: ["10.244.1.0/24","10.244.2.0/24"]: '
                    "may specify no more than one CIDR for each IP family"
                )
            ],
        ),
        (
            "spec:\n  taints: [{key: a, effect: Never}, {key: b}]",
            [
                (
                    '5 $.spec.taints[0].effect Unsupported value: "Never": '
                    'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'
                ),
                "5 $.spec.taints[1].effect Required value",
            ],
        ),
        (
            "status:\n  addresses:\n  - {type: Hostname, address: a}\n  - {type: InternalIP, address: a}",
            [
                (
                    '7 $.status.addresses[1].address Invalid value: "a": '
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                )
            ],
        ),
    ],
)
def test_nodes_have_ranges_taints_and_addresses(errors: Check, node: str, expected: list[str]) -> None:
    """Of which the network makes use."""
    assert errors(NODE + node) == expected


def test_data_has_keys_that_are_file_names(errors: Check) -> None:
    """They are mounted as files."""
    (error,) = errors(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  ok.conf: a\n  not ok: b"
    )
    assert error.startswith(
        "6 $.data['not ok'] Invalid value: \"not ok\": a valid config key must consist of"
    )


def test_odd_addresses_are_warned_of_and_later_refused(errors: Check, warnings: Check) -> None:
    """The API became strict in 1.36."""
    text = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: [{port: 80}]\n"
        "  type: LoadBalancer\n  externalIPs:\n  - 010.0.0.1\n  - 2001:DB8::1\n  - ::ffff:10.0.0.1\n"
        "  loadBalancerSourceRanges:\n  - 10.0.0.1/8\n  - 010.0.0.0/8\n  - 2001:DB8::/32\n"
    )
    future = "will be considered invalid in a future Kubernetes release"
    assert warnings(text) == [
        f'8 $.spec.externalIPs[0] non-standard IP address "010.0.0.1" {future}: use "10.0.0.1"',
        (
            '9 $.spec.externalIPs[1] IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
            '("2001:db8::1")'
        ),
        f'10 $.spec.externalIPs[2] non-standard IP address "::ffff:10.0.0.1" {future}: use "10.0.0.1"',
        (
            '12 $.spec.loadBalancerSourceRanges[0] CIDR value "10.0.0.1/8" is ambiguous in this context '
            '(should be "10.0.0.0/8" or "10.0.0.1/32"?)'
        ),
        (
            f'13 $.spec.loadBalancerSourceRanges[1] non-standard CIDR value "010.0.0.0/8" {future}: '
            'use "10.0.0.0/8"'
        ),
        (
            '14 $.spec.loadBalancerSourceRanges[2] IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 '
            'canonical format ("2001:db8::/32")'
        ),
    ]
    assert errors(text, "1.36") == [
        '8 $.spec.externalIPs[0] Invalid value: "010.0.0.1": must not have leading 0s',
        (
            '10 $.spec.externalIPs[2] Invalid value: "::ffff:10.0.0.1": '
            "must not be an IPv4-mapped IPv6 address"
        ),
        (
            '12 $.spec.loadBalancerSourceRanges[0] Invalid value: "10.0.0.1/8": '
            "must not have bits set beyond the prefix length"
        ),
        (
            '13 $.spec.loadBalancerSourceRanges[1] Invalid value: "010.0.0.0/8": '
            "must not have leading 0s in IP or prefix length"
        ),
    ]
