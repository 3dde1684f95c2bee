# SPDX-License-Identifier: GPL-2.0-only
"""Virtual services of IPVS: connections that outlived their destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.fixes.documents import document
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.forwarding import set_sysctl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case

_REUSE: Final = "net.ipv4.vs.conn_reuse_mode"
_EXPIRE: Final = "net.ipv4.vs.expire_nodest_conn"
_NODE: Final = "Node "


def pick_anew(case: Case) -> Iterator[Proposal]:
    """Have a scheduler asked where an old connection is over, or its destination is to get no more."""
    if not case.cause.object.startswith(_NODE):
        return
    net = f"node/{case.cause.object.removeprefix(_NODE)}"
    words = f"{net} takes a new connection for an old one that is over: have it pick a destination"
    yield Proposal(words, (set_sysctl(case, net, _REUSE, 1),))
    words = f"{net} keeps connections whose destination is to get no more: have it end them"
    yield Proposal(words, (set_sysctl(case, net, _EXPIRE, 1),))


def answer_for_the_device_alone(case: Case) -> Iterator[Proposal]:
    """Have kernels leave it to who announces an address to answer ARP for it."""
    if case.cluster is None:
        return

    def change(spec: ClusterSpec) -> ClusterSpec:
        ipvs = attrs.evolve(spec.proxy.ipvs, strict_arp=True)
        return attrs.evolve(spec, proxy=attrs.evolve(spec.proxy, ipvs=ipvs))

    old, new = ({"kubeProxy": {"ipvs": {"strictARP": value}}} for value in (False, True))
    words = (
        "every node answers ARP for addresses of Services, beside the one that announces them: have it not"
    )
    yield Proposal(words, (document(case.cluster, old, new, change),))
