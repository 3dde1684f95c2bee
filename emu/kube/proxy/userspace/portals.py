# SPDX-License-Identifier: GPL-2.0-only
"""The rules that lead into the proxy: each is there or not, and nothing is rewritten as a whole.

Traffic of others is redirected to the address of the device that it came in by,
that of the node itself is translated to the node's address.

Source: pkg/proxy/userspace/proxier.go (`iptablesInit`, `openOnePortal`, `openNodePort`).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.apps.commands import iptables
from emu.kube.proxy.lines import read_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.kube.proxy.services import ProxiedPort

_PORTAL: Final = '-m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules"'
_NODE_PORT: Final = (
    "-m addrtype --dst-type LOCAL "
    '-m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain"'
)
_NON_LOCAL: Final = '-m comment --comment "Ensure that non-local NodePort traffic can flow"'

CHAINS: Final = (
    ("nat", "KUBE-PORTALS-CONTAINER"),
    ("nat", "KUBE-PORTALS-HOST"),
    ("nat", "KUBE-NODEPORT-CONTAINER"),
    ("nat", "KUBE-NODEPORT-HOST"),
    ("filter", "KUBE-NODEPORT-NON-LOCAL"),
)
"""Table and name of each chain of the mode."""


class Line(NamedTuple):
    """A rule: its table, its chain, what stands behind `-A CHAIN`, and whether it comes first there."""

    table: str
    chain: str
    words: str
    is_first: bool = False

    @property
    def text(self) -> str:
        """The command that writes it."""
        return f"iptables -w -t {self.table} -{'I' if self.is_first else 'A'} {self.chain} {self.words}"


JUMPS: Final = (
    Line("nat", "PREROUTING", f"{_PORTAL} -j KUBE-PORTALS-CONTAINER", is_first=True),
    Line("nat", "OUTPUT", f"{_PORTAL} -j KUBE-PORTALS-HOST", is_first=True),
    Line("nat", "PREROUTING", f"{_NODE_PORT} -j KUBE-NODEPORT-CONTAINER"),
    Line("nat", "OUTPUT", f"{_NODE_PORT} -j KUBE-NODEPORT-HOST"),
    Line("filter", "INPUT", f"{_NON_LOCAL} -j KUBE-NODEPORT-NON-LOCAL", is_first=True),
)


def lines(port: ProxiedPort, proxy_port: int, node_ip: str) -> Iterator[Line]:
    """Yield the rules of a service port.

    Args:
        port: the service port.
        proxy_port: where its proxy listens.
        node_ip: the address of the node.
    """
    redirected, to_node = (
        f"-j REDIRECT --to-ports {proxy_port}",
        f"-j DNAT --to-destination {node_ip}:{proxy_port}",
    )
    for ip in (port.cluster_ip, *port.load_balancer_ips):
        asked = f"{_asked(port, port.port)} -d {ip}/32"
        yield Line("nat", "KUBE-PORTALS-CONTAINER", f"{asked} {redirected}")
        yield Line("nat", "KUBE-PORTALS-HOST", f"{asked} {to_node}")
    for ip in port.external_ips:
        asked, local = f"{_asked(port, port.port)} -d {ip}/32", "-m addrtype --dst-type LOCAL"
        yield Line("nat", "KUBE-PORTALS-CONTAINER", f"{asked} -m physdev ! --physdev-is-in {redirected}")
        yield Line("nat", "KUBE-PORTALS-CONTAINER", f"{asked} {local} {redirected}")
        yield Line("nat", "KUBE-PORTALS-HOST", f"{asked} {local} {to_node}")
    if port.node_port:
        asked = _asked(port, port.node_port)
        yield Line("nat", "KUBE-NODEPORT-CONTAINER", f"{asked} {redirected}")
        yield Line("nat", "KUBE-NODEPORT-HOST", f"{asked} {to_node}")
        taken = f"{_asked(port, proxy_port)} -m state --state NEW -j ACCEPT"
        yield Line("filter", "KUBE-NODEPORT-NON-LOCAL", taken)


def _asked(port: ProxiedPort, number: int) -> str:
    return f"-m comment --comment {port.name} -p {port.protocol} -m {port.protocol} --dport {number}"


def ensure_chains(net: Namespace) -> None:
    """Have the chains of the mode, and the jumps to them."""
    for table, chain in CHAINS:
        if not _has_chain(net, table, chain):
            iptables.prepare(("-w", "-t", table, "-N", chain))(net)
    for line in JUMPS:
        ensure(net, line)


def flush(net: Namespace) -> None:
    """Take all rules out of the chains of the mode."""
    for table, chain in CHAINS:
        if _has_chain(net, table, chain):
            iptables.prepare(("-w", "-t", table, "-F", chain))(net)


def ensure(net: Namespace, line: Line) -> None:
    """Have a rule, unless it is there."""
    if not is_there(net, line):
        flag = "-I" if line.is_first else "-A"
        iptables.prepare(("-w", "-t", line.table, flag, line.chain, *shlex.split(line.words)))(net)


def remove(net: Namespace, line: Line) -> None:
    """Delete a rule, if it is there."""
    if is_there(net, line):
        iptables.prepare(("-w", "-t", line.table, "-D", line.chain, *shlex.split(line.words)))(net)


def is_there(net: Namespace, line: Line) -> bool:
    """Return whether a rule is in its chain."""
    xtable = net.netfilter.tables.get(line.table)
    chain = None if xtable is None else xtable.table.by_name.get(line.chain)
    return chain is not None and read_rule(line.chain, line.words) in chain.rules


def _has_chain(net: Namespace, table: str, chain: str) -> bool:
    xtable = net.netfilter.tables.get(table)
    return xtable is not None and chain in xtable.table.by_name


def clean_up(net: Namespace) -> None:
    """Take away the rules and chains of the mode."""
    if net.used_netfilter is None:
        return
    for line in JUMPS:
        remove(net, line)
    flush(net)
    for table, chain in CHAINS:
        if _has_chain(net, table, chain):
            iptables.prepare(("-w", "-t", table, "-X", chain))(net)
