# SPDX-License-Identifier: GPL-2.0-only
"""weave: one Ethernet segment for all pods of a cluster, whichever node they are on.

    pod --veth-- weave == datapath ==VXLAN over UDP 6784==> datapath == weave --veth-- pod      TTL 64 -> 64

Nobody routes between pods: they ask for each other by ARP, and the tunnels carry
their frames whole. The range is shared out among the nodes in the order in which
they join: who comes asks the node with the most room for the upper half of it.

Known differences: a tunnel a peer (see `mesh`); the number of a peer follows from its
name where the real one draws it; no encryption, no sleeve (the way in user space
where UDP 6784 does not get through), no control connections on 6783: peers know
each other from the Nodes. NetworkPolicies are rules of `emu.kube.policy` in FORWARD,
not weave-npc's own chains.

Source: weaveworks/weave net/iptables.go, prog/weave-kube, ipam/ring.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.kube.cni.netconf import NetConfList
from emu.kube.cni.weave_net import STATE, State
from emu.kube.providers.mesh import BRIDGE, LOCAL_PODS, Mesh, Peer
from emu.kube.providers.provider import OptionsError, mtu_of, options
from emu.kube.providers.written import RuleGroup, Written
from emu.wire.addresses import Interface, IpAddress, Prefix
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.cni.rules import Words
    from emu.kube.providers.provider import NodeNetwork

CONFIG: Final = "/etc/cni/net.d/10-weave.conflist"
ANNOTATION: Final = "emu/weave-peer"
"""Of a Node: its number among the peers. The real ones remember in files of their own what is whose."""

RANGE: Final = Prefix.parse("10.32.0.0/12")
"""Whence pods have their addresses where nobody says otherwise."""

_MTU: Final = 1376  # what a common cloud lets through, less all headers that there might be
_SHORT_ID: Final = 12  # bits of a peer's number in a VNI
_MULTICAST: Final = "224.0.0.0/4"
_FIRST: Final[Words] = ("-m", "comment", "--comment", "Prevent SNAT to locally running containers")


@attrs.frozen
class Weave:
    """weave with the environment of its container.

    Attributes:
        mtu: WEAVE_MTU.
        no_masq_local: NO_MASQ_LOCAL: who comes from outside to a pod of this node keeps his address.
    """

    mtu: int = _MTU
    no_masq_local: bool = True

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it with the options `mtu` and `noMasqLocal`.

        Raises:
            OptionsError: they are wrong.
        """
        fields = options(values, ("mtu", "noMasqLocal"))
        found = cls(mtu_of(fields) or _MTU, fields.flag("noMasqLocal", default=True))
        if fields.faults:
            raise OptionsError("weave", fields.faults)
        return found

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return what the daemon writes; nothing while nobody can say when the node joined."""
        if node.pod_cidr is None:
            return Written()
        numbers = _numbers(nodes if node in nodes else (*nodes, node))
        own = numbers[node.name]
        share = shares(node.cluster_cidr, max(numbers.values()) + 1)[own]
        address = Interface(share.first, node.cluster_cidr.length)
        conf = _config()
        state = State(BRIDGE, address, share.last, self.mtu, LOCAL_PODS)
        return Written(
            config=NetConfList.of(conf, CONFIG),
            files={CONFIG: json.dumps(conf, indent=2) + "\n", STATE: state.text()},
            sysctls={"net.bridge.bridge-nf-call-iptables": 1, "net.ipv4.ip_forward": 1},
            annotations={ANNOTATION: str(own)},
            mesh=Mesh(address, self.mtu, node.internal_ip, _peers(node, nodes, numbers)),
            rules=self._rules(str(node.cluster_cidr)),
            announced=share.prefixes,
        )

    def _rules(self, pods: str) -> tuple[RuleGroup, ...]:
        forward: tuple[tuple[str, Words], ...] = (
            ("FORWARD", ("-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT")),
            ("FORWARD", ("-o", BRIDGE, "-j", "WEAVE-EXPOSE")),
            ("FORWARD", ("-i", BRIDGE, "!", "-o", BRIDGE, "-j", "ACCEPT")),
            ("FORWARD", ("-o", BRIDGE, *_KNOWN, "-j", "ACCEPT")),
        )
        own: tuple[Words, ...] = (
            *((_LOCAL,) if self.no_masq_local else ()),
            ("-s", pods, "-d", _MULTICAST, "-j", "RETURN"),
            ("!", "-s", pods, "-d", pods, "-j", "MASQUERADE"),
            ("-s", pods, "!", "-d", pods, "-j", "MASQUERADE"),
        )
        masquerade = (("POSTROUTING", ("-j", "WEAVE")), *(("WEAVE", rule) for rule in own))
        return (
            RuleGroup("filter", ("WEAVE-EXPOSE",), forward),
            RuleGroup("nat", ("WEAVE",), masquerade),
        )


_KNOWN: Final[Words] = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
_LOCAL: Final[Words] = ("-m", "set", "--match-set", LOCAL_PODS, "dst", *_FIRST, "-j", "RETURN")


def _config() -> dict[str, Json]:
    return {
        "cniVersion": "0.3.0",
        "name": "weave",
        "plugins": [
            {"name": "weave", "type": "weave-net", "hairpinMode": True},
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }


# --- who has which addresses ---


@attrs.frozen
class Share:
    """A part of the range: its own addresses from `first` to `last`, both included.

    The first is the bridge's. The addresses of the whole range's network and of its
    broadcasts are nobody's.
    """

    first: IpAddress
    last: IpAddress

    @property
    def prefixes(self) -> tuple[Prefix, ...]:
        """The fewest prefixes that are all of it."""
        first, last = (ipaddress.IPv4Address(bytes(each)) for each in (self.first, self.last))
        return tuple(Prefix.parse(str(each)) for each in ipaddress.summarize_address_range(first, last))


@lru_cache(maxsize=8)
def shares(whole: Prefix, number: int) -> tuple[Share, ...]:
    """Return the parts of `number` nodes, in the order in which they joined.

    A node that joins gets the upper half of the largest part, of equal ones that
    of the highest addresses: what the others have handed out stays theirs.
    """
    parts = [(int(whole.address), 1 << (whole.address.bits - whole.length))]
    for _ in range(1, number):
        at = max(range(len(parts)), key=lambda place: (parts[place][1], parts[place][0]))
        first, size = parts[at]
        parts[at] = first, size // 2
        parts.append((first + size // 2, size - size // 2))
    top = int(whole.address) + (1 << (whole.address.bits - whole.length)) - 1
    return tuple(
        Share(
            IpAddress.from_int(max(first, int(whole.address) + 1)),
            IpAddress.from_int(min(first + size - 1, top - 1)),
        )
        for first, size in parts
    )


# --- peers ---


def _joined(node: NodeNetwork) -> tuple[int, str]:
    """Return a key by which nodes stand in the order in which they joined: that of their pod CIDRs."""
    return (int(node.pod_cidr.address) if node.pod_cidr is not None else 0), node.name


def _numbers(nodes: Iterable[NodeNetwork]) -> dict[str, int]:
    """Return a number for each node: the one that it has had, or the lowest that is free."""
    joined = sorted((each for each in nodes if each.pod_cidr is not None), key=_joined)
    found: dict[str, int] = {}
    for each in joined:
        told = each.annotations.get(ANNOTATION, "")
        if told.isascii() and told.isdecimal() and int(told) not in found.values():
            found[each.name] = int(told)
    free = (number for number in count() if number not in set(found.values()))
    for each in joined:
        if each.name not in found:
            found[each.name] = next(free)
    return found


def _peers(node: NodeNetwork, every: Iterable[NodeNetwork], numbers: Mapping[str, int]) -> tuple[Peer, ...]:
    short = _short_ids(numbers)
    own = short[node.name]
    return tuple(
        Peer(numbers[each.name], each.internal_ip, _vni(own, short[each.name]), _vni(short[each.name], own))
        for each in sorted(every, key=_joined)
        if each.name in numbers and each.name != node.name
    )


def _short_ids(names: Iterable[str]) -> dict[str, int]:
    """Return what each peer is called in a VNI, different ones for all."""
    found: dict[str, int] = {}
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") % (1 << _SHORT_ID)
        while number in found.values():
            number = (number + 1) % (1 << _SHORT_ID)
        found[name] = number
    return found


def _vni(source: int, target: int) -> Vni:
    return Vni(source | target << _SHORT_ID)
