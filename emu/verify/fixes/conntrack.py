# SPDX-License-Identifier: GPL-2.0-only
"""Connection tracking: a full table, entries that outlived their pod, packets it does not understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.fixes.documents import document
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.forwarding import set_sysctl
from emu.verify.fixes.remedy import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case

_MAX: Final = "net.netfilter.nf_conntrack_max"
_LIBERAL: Final = "net.netfilter.nf_conntrack_tcp_be_liberal"
_DEFAULT_MAX: Final = 262_144


def enlarge_the_table(case: Case) -> Iterator[Proposal]:
    """Give the table room."""
    net = case.net
    if net is None:
        return
    limit = net.sysctl.number(_MAX)
    wanted = max(_DEFAULT_MAX, 2 * limit)
    words = f"{net.name} follows {limit} connections at most, and has as many: raise the limit"
    yield Proposal(words, (set_sysctl(case, net.name, _MAX, wanted),))


def forget_the_old_entry(case: Case) -> Iterator[Proposal]:
    """Delete the entry by which packets still go where nobody is."""
    sent = case.sent
    if sent is None or not sent.has_ports:
        return
    protocol = case.protocol.lower()
    chosen = ("-p", protocol, "-s", str(sent.src), "-d", str(sent.dst), "--dport", str(sent.dport))
    words = f"{case.cause.net} still has an entry that translates to who is gone: delete it"
    yield Proposal(words, (Command(case.host(case.cause.net), ("conntrack", "-D", *chosen)),))


def be_liberal(case: Case) -> Iterator[Proposal]:
    """Take segments outside the window for part of their connection."""
    words = f"{case.cause.net} finds a segment outside the window, and drops it as INVALID: be liberal there"
    yield Proposal(words, (set_sysctl(case, case.cause.net, _LIBERAL, 1),))
    if case.cluster is None:
        return

    def change(spec: ClusterSpec) -> ClusterSpec:
        return attrs.evolve(spec, proxy=attrs.evolve(spec.proxy, tcp_be_liberal=True))

    now = case.cluster.topology.cluster.proxy.tcp_be_liberal
    old, new = ({"kubeProxy": {"conntrack": {"tcpBeLiberal": value}}} for value in (now, True))
    lasting = "kube-proxy drops on every node what connection tracking calls INVALID: have it leave that"
    yield Proposal(lasting, (document(case.cluster, old, new, change),))
