# SPDX-License-Identifier: GPL-2.0-only
"""Rules as kube-proxy writes them for any number of services, as text for iptables-restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_CLUSTER_IP: Final = int(IpAddress.parse("10.96.0.1"))
_FIRST_NODE_PORT: Final = 30000
PORT: Final = 80
TARGET_PORT: Final = 8080

_HEAD: Final = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "externally visible" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m comment --comment "forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "service portals" -j KUBE-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "service portals" -j KUBE-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
"""
_TAIL: Final = """\
-A PREROUTING -m comment --comment "service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-SERVICES -m comment --comment "service nodeports" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
"""


def cluster_ip(number: int) -> IpAddress:
    """Return the ClusterIP of service `number`."""
    return IpAddress.from_int(_FIRST_CLUSTER_IP + number)


def service_rules(
    count: int,
    endpoints: int = 1,
    *,
    target: IpAddress,
    pods: str = "10.244.0.0/16",
    protocol: str = "tcp",
    node_ports: int = 100,
) -> str:
    """Return the tables filter and nat for `count` services.

    Args:
        count: how many services.
        endpoints: how many endpoints each has.
        target: the first endpoint of each, the others have the addresses behind it.
        pods: the range of pods; others are masqueraded.
        protocol: `tcp` or `udp`.
        node_ports: how many of them have a node port.
    """
    targets = [IpAddress.from_int(int(target) + number) for number in range(endpoints)]
    chains = [name for number in range(count) for name in _chains(number, endpoints)]
    rules = [
        line
        for number in range(count)
        for line in _service(number, targets, pods, protocol, has_node_port=number < node_ports)
    ]
    declared = [f":{name} - [0:0]" for name in chains]
    return "\n".join([_HEAD.rstrip(), *declared, *rules, _TAIL])


def _chains(number: int, endpoints: int) -> Iterator[str]:
    yield f"KUBE-SVC-{number:016d}"
    yield from (f"KUBE-SEP-{number:012d}{end:04d}" for end in range(endpoints))


def _service(
    number: int, targets: list[IpAddress], pods: str, protocol: str, *, has_node_port: bool
) -> Iterator[str]:
    svc, *seps = _chains(number, len(targets))
    name = f"ns/service-{number}"
    asked = f'-d {cluster_ip(number)}/32 -p {protocol} -m comment --comment "{name} cluster IP"'
    yield f"-A KUBE-SERVICES {asked} -m {protocol} --dport {PORT} -j {svc}"
    if has_node_port:
        port = f"-m {protocol} --dport {_FIRST_NODE_PORT + number}"
        yield f'-A KUBE-NODEPORTS -p {protocol} -m comment --comment "{name}" {port} -j {svc}'
    yield f"-A {svc} ! -s {pods} {asked} -m {protocol} --dport {PORT} -j KUBE-MARK-MASQ"
    for index, (sep, target) in enumerate(zip(seps, targets, strict=True)):
        left = len(seps) - index
        chance = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        yield f'-A {svc} -m comment --comment "{name} -> {target}:{TARGET_PORT}" {chance}-j {sep}'
        yield f'-A {sep} -s {target}/32 -m comment --comment "{name}" -j KUBE-MARK-MASQ'
        dnat = f"-m {protocol} -j DNAT --to-destination {target}:{TARGET_PORT}"
        yield f'-A {sep} -p {protocol} -m comment --comment "{name}" {dnat}'
