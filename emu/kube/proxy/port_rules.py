# SPDX-License-Identifier: GPL-2.0-only
"""The rules of one service port.

    KUBE-SERVICES --+-- cluster IP ------------------> KUBE-SVC or KUBE-SVL --> KUBE-SEP
                    +-- external IP ----------> KUBE-EXT --^
                    +-- load balancer IP --> KUBE-FW --^
    KUBE-NODEPORTS ---- node port ------------^

Source: pkg/proxy/iptables/proxier.go `syncProxyRules`, `writeServiceToEndpointRules`.
"""

from __future__ import annotations

import enum
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.proxy.lines import Written
from emu.kube.proxy.names import endpoint_chain, probability

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.kernel.netfilter.ruleset import Chain
    from emu.kube.proxy.config import Options
    from emu.kube.proxy.endpoints import Backend
    from emu.kube.proxy.services import ProxiedPort
    from emu.kube.proxy.topology import Usable


BY_NAME: Final = attrgetter("name")


class Shared(enum.Enum):
    """Chains to which every service port adds its rules: the table, and the chain."""

    NAT_SERVICES = "nat", "KUBE-SERVICES"
    NAT_NODE_PORTS = "nat", "KUBE-NODEPORTS"
    SERVICES = "filter", "KUBE-SERVICES"
    EXTERNAL_SERVICES = "filter", "KUBE-EXTERNAL-SERVICES"
    FIREWALL = "filter", "KUBE-PROXY-FIREWALL"
    NODE_PORTS = "filter", "KUBE-NODEPORTS"

    @property
    def table(self) -> str:
        """The table."""
        return str(self.value[0])

    @property
    def chain(self) -> str:
        """The chain."""
        return str(self.value[1])


@attrs.frozen(eq=False)
class PortRules:
    """What one service port adds to the rules of a node.

    Attributes:
        shared: its rules in chains that all have in common, one for each of `Shared`;
            None where it has none.
        own: its own chains of the table nat.
    """

    shared: tuple[Written | None, ...]
    own: tuple[Written, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Chain]:
        """Its own chains as values, by their names."""
        return {written.name: written.chain for written in self.own}


class PortWriter:
    """Writes the rules of one service port, for one kind of nodes.

    Chains that come out alike for several nodes are one object.

    Args:
        options: what the nodes have in common.
        port: the service port.
        is_large: the cluster is so large that comments are left out.
    """

    def __init__(self, options: Options, port: ProxiedPort, *, is_large: bool) -> None:
        self._options = options
        self._port = port
        self._is_large = is_large
        self._asked = f"-m {port.protocol} -p {port.protocol}"
        self._known: dict[tuple[str, tuple[str, ...]], Written] = {}
        self._endpoints: dict[str, Written] = {}

    def write(self, usable: Usable, *, in_range: bool) -> PortRules:
        """Return the rules of a node.

        Args:
            usable: the endpoints that it may use.
            in_range: its own address is in one of the source ranges.
        """
        port = self._port
        shared: dict[Shared, list[str]] = {each: [] for each in Shared}
        own: list[Written] = []
        if usable.anywhere:
            self._write_entries(shared)
            if port.is_external:
                own.append(self._external(has_local=bool(usable.local)))
            if port.load_balancer_ips and port.source_ranges:
                own.append(self._firewall(in_range=in_range))
        internal = bool(usable.internal(port))
        if internal:
            chain = f"KUBE-{'SVL' if port.internal_local else 'SVC'}-{port.hash}"
            shared[Shared.NAT_SERVICES].insert(
                0, f"{self._comment('cluster IP')} {self._to(port.cluster_ip)} -j {chain}"
            )
        self._refuse(usable, shared, internal=internal)
        if port.health_check_node_port:
            shared[Shared.NODE_PORTS].append(
                f"{self._comment('health check node port')} -m tcp -p tcp "
                f"--dport {port.health_check_node_port} -j ACCEPT"
            )
        if usable.cluster:
            own.append(self._spread("KUBE-SVC-", usable.cluster, masquerades=not port.internal_local))
        if usable.local:
            own.append(self._spread("KUBE-SVL-", usable.local, masquerades=port.internal_local))
        own += [self._endpoint(each) for each in usable.reachable]
        written = [self._chain(each.chain, shared[each]) if shared[each] else None for each in Shared]
        return PortRules(tuple(written), tuple(own))

    # --- words ---

    def _comment(self, words: str) -> str:
        return f'-m comment --comment "{self._port.name} {words}"'

    def _note(self, words: str) -> str:
        """Return a comment of the kind that large clusters do without, and a blank."""
        if self._is_large:
            return ""
        return f'-m comment --comment "{words}" ' if " " in words else f"-m comment --comment {words} "

    def _to(self, address: str) -> str:
        return f"{self._asked} -d {address} --dport {self._port.port}"

    def _chain(self, name: str, lines: Sequence[str]) -> Written:
        """Return a chain, the same object for the same lines."""
        key = name, tuple(lines)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Written(*key)
        return found

    # --- ways in ---

    def _write_entries(self, shared: Mapping[Shared, list[str]]) -> None:
        """Write what leads from addresses other than the ClusterIP to the port's chains."""
        port, services, node_ports = self._port, shared[Shared.NAT_SERVICES], shared[Shared.NAT_NODE_PORTS]
        external, firewall = f"KUBE-EXT-{port.hash}", f"KUBE-FW-{port.hash}"
        services += [
            f"{self._comment('external IP')} {self._to(ip)} -j {external}" for ip in port.external_ips
        ]
        guarded = firewall if port.source_ranges else external
        services += [
            f"{self._comment('loadbalancer IP')} {self._to(ip)} -j {guarded}" for ip in port.load_balancer_ips
        ]
        if port.source_ranges:
            shared[Shared.FIREWALL].extend(
                f"{self._comment(f'traffic not accepted by {firewall}')} {self._to(ip)} -j DROP"
                for ip in port.load_balancer_ips
            )
        if port.node_port:
            comment = f"-m comment --comment {port.name}"
            if self._options.localhost_node_ports and self._options.features.nfacct:
                node_ports.append(
                    f"{comment} {self._asked} -d 127.0.0.0/8 --dport {port.node_port} "
                    f"-m nfacct --nfacct-name localhost_nps_accepted_pkts -j {external}"
                )
            node_ports.append(f"{comment} {self._asked} --dport {port.node_port} -j {external}")

    def _firewall(self, *, in_range: bool) -> Written:
        """Return the chain that lets load balancer traffic from the source ranges on."""
        port = self._port
        allowed = [str(each) for each in port.source_ranges]
        allowed += port.load_balancer_ips if in_range else ()
        comment, target = self._comment("loadbalancer IP"), f"-j KUBE-EXT-{port.hash}"
        rest = f'-m comment --comment "other traffic to {port.name} will be dropped by KUBE-PROXY-FIREWALL"'
        return self._chain(
            f"KUBE-FW-{port.hash}", [*(f"{comment} -s {each} {target}" for each in allowed), rest]
        )

    def _external(self, *, has_local: bool) -> Written:
        """Return the chain for traffic to addresses other than the ClusterIP."""
        port, pods = self._port, self._options.detector.pods
        destinations = f"{port.name} external destinations"
        every, here = f"KUBE-SVC-{port.hash}", f"KUBE-SVL-{port.hash}"
        lines = []
        if not port.external_local:
            comment = f'-m comment --comment "masquerade traffic for {destinations}"'
            lines = [f"{comment} -j KUBE-MARK-MASQ", f"-j {every}"]
        else:
            if pods:
                lines = [f'-m comment --comment "pod traffic for {destinations}" {pods} -j {every}']
            own = "-m addrtype --src-type LOCAL"
            lines += [
                f'-m comment --comment "masquerade LOCAL traffic for {destinations}" {own} -j KUBE-MARK-MASQ',
                f'-m comment --comment "route LOCAL traffic for {destinations}" {own} -j {every}',
            ]
            if has_local:
                lines.append(f"-j {here}")
        return self._chain(f"KUBE-EXT-{port.hash}", lines)

    def _refuse(self, usable: Usable, shared: Mapping[Shared, list[str]], *, internal: bool) -> None:
        """Write what becomes of traffic for which there are no endpoints."""
        port = self._port
        words, target = ("no local endpoints", "DROP") if usable.anywhere else ("no endpoints", "REJECT")
        comment = self._comment(f"has {words}")
        if not internal:
            shared[Shared.SERVICES].append(f"{comment} {self._to(port.cluster_ip)} -j {target}")
        if port.is_external and not usable.external(port):
            refused = shared[Shared.EXTERNAL_SERVICES]
            refused += [
                f"{comment} {self._to(ip)} -j {target}"
                for ip in (*port.external_ips, *port.load_balancer_ips)
            ]
            if port.node_port:
                refused.append(
                    f"{comment} -m addrtype --dst-type LOCAL {self._asked} "
                    f"--dport {port.node_port} -j {target}"
                )

    # --- endpoints ---

    def _spread(self, prefix: str, backends: Sequence[Backend], *, masquerades: bool) -> Written:
        """Return the chain that gives each endpoint an equal share, and clients the one that they had.

        Args:
            prefix: of the chain's name.
            backends: the endpoints, one at least.
            masquerades: traffic to the ClusterIP comes here: it is marked if it is not a pod's.
        """
        lines = [*self._masquerade()] if masquerades else []
        chains = [self._endpoint(each).name for each in backends]
        notes = [self._note(f"{self._port.name} -> {each.text}") for each in backends]
        seconds = self._port.affinity_seconds
        if seconds:
            lines += [
                f"{note}-m recent --name {chain} --rcheck --seconds {seconds} --reap -j {chain}"
                for note, chain in zip(notes, chains, strict=True)
            ]
        left = len(backends)
        for note, chain in zip(notes, chains, strict=True):
            chance = f"-m statistic --mode random --probability {probability(left)} " if left > 1 else ""
            lines.append(f"{note}{chance}-j {chain}")
            left -= 1
        return self._chain(f"{prefix}{self._port.hash}", lines)

    def _masquerade(self) -> Iterator[str]:
        options = self._options
        if options.masquerade_all or options.detector.others:
            others = "" if options.masquerade_all else f"{options.detector.others} "
            asked = f"{self._comment('cluster IP')} {self._to(self._port.cluster_ip)}"
            yield f"{asked} {others}-j KUBE-MARK-MASQ"

    def _endpoint(self, backend: Backend) -> Written:
        """Return the chain that translates to one endpoint."""
        found = self._endpoints.get(backend.text)
        if found is None:
            port = self._port
            chain = endpoint_chain(port.name, port.protocol, backend.text)
            note = self._note(port.name)
            remembered = f"-m recent --name {chain} --set " if port.affinity_seconds else ""
            found = self._endpoints[backend.text] = Written(
                chain,
                (
                    f"{note}-s {backend.ip} -j KUBE-MARK-MASQ",
                    f"{note}{remembered}{self._asked} -j DNAT --to-destination {backend.text}",
                ),
            )
        return found
