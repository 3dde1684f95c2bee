# SPDX-License-Identifier: GPL-2.0-only
"""What one service port adds to the table.

    service-ips ------ ClusterIP -------------> service-X or local-X --> endpoint-X__E
                +-- other addresses --> external-X --^
    service-nodeports --------------------^
    firewall-ips ----> firewall-X, before translation
    no-endpoint-services, no-endpoint-nodeports ----> drop or reject, behind it

Source: pkg/proxy/nftables/proxier.go `syncProxyRules`, `writeServiceToEndpointRules`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.proxy.nft.names import (
    AFFINITY,
    ENDPOINT,
    EXTERNAL,
    FIREWALL,
    LOCAL,
    SERVICE,
    endpoint_base,
    port_base,
)
from emu.kube.proxy.nft.values import Chain, Element, Holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kernel.netfilter.nftables import ruleset as kernel
    from emu.kube.proxy.config import Options
    from emu.kube.proxy.endpoints import Backend
    from emu.kube.proxy.services import ProxiedPort
    from emu.kube.proxy.topology import Usable

MARK: Final = "mark-for-masquerade"
REJECT: Final = "reject-chain"
CLUSTER_IPS: Final = "cluster-ips"
SERVICE_IPS: Final = "service-ips"
SERVICE_NODE_PORTS: Final = "service-nodeports"
NO_ENDPOINT_SERVICES: Final = "no-endpoint-services"
NO_ENDPOINT_NODE_PORTS: Final = "no-endpoint-nodeports"
FIREWALL_IPS: Final = "firewall-ips"


@attrs.frozen(eq=False)
class PortRules:
    """What one service port adds.

    Attributes:
        chains: its own, in the order in which they are made.
        sets: what is remembered of clients, a set for each endpoint; none without affinity.
        elements: of the sets and maps that all ports share.
    """

    chains: tuple[Chain, ...] = ()
    sets: tuple[Holder, ...] = ()
    elements: tuple[Element, ...] = ()

    @cached_property
    def values(self) -> tuple[tuple[str, kernel.Element], ...]:
        """The elements as values, each with the name of its set."""
        return tuple([(each.holder, each.value) for each in self.elements])


class PortWriter:
    """Writes the rules of one service port, for one kind of nodes.

    Chains that come out alike for several nodes are one object.

    Args:
        options: what the nodes have in common.
        port: the service port.
        is_large: the cluster is large, which changes nothing here.
    """

    def __init__(self, options: Options, port: ProxiedPort, *, is_large: bool) -> None:
        del is_large
        self._options = options
        self._port = port
        key = port.key
        self._words = key.namespace, key.service, port.protocol, key.port
        self._base = port_base(*self._words)
        self._known: dict[tuple[str, tuple[str, ...]], Chain] = {}
        self._bases: dict[str, str] = {}

    def write(self, usable: Usable, *, in_range: bool) -> PortRules:
        """Return the rules of a node.

        Args:
            usable: the endpoints that it may use.
            in_range: its own address is in one of the source ranges.
        """
        port = self._port
        guards = bool(port.load_balancer_ips and port.source_ranges)
        chains = [self._endpoint(each) for each in usable.reachable]
        if usable.cluster:
            lines = [*self._masquerade(usable, is_internal=not port.internal_local)]
            chains.append(self._chain(SERVICE, [*lines, *self._spread(usable.cluster)]))
        if usable.local:
            lines = [*self._masquerade(usable, is_internal=port.internal_local)]
            chains.append(self._chain(LOCAL, [*lines, *self._spread(usable.local)]))
        if usable.anywhere and port.is_external:
            chains.append(self._external(usable))
        if guards:
            chains.append(self._firewall(in_range=in_range))
        seconds = port.affinity_seconds
        what = f"{{ type ipv4_addr ; flags dynamic,timeout ; timeout {seconds}s ; }}"
        sets = [Holder("set", f"{AFFINITY}{self._base_of(each)}", what) for each in usable.reachable]
        elements = [*self._elements(usable, guards=guards)]
        return PortRules(tuple(chains), tuple(sets) if seconds else (), tuple(elements))

    # --- names ---

    def _chain(self, prefix: str, lines: Sequence[str]) -> Chain:
        """Return a chain of the port, the same object for the same lines."""
        return self._named(f"{prefix}{self._base}", lines)

    def _named(self, name: str, lines: Sequence[str]) -> Chain:
        key = name, tuple(lines)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Chain(*key)
        return found

    def _base_of(self, backend: Backend) -> str:
        found = self._bases.get(backend.text)
        if found is None:
            number = backend.text.rpartition(":")[2]
            found = self._bases[backend.text] = endpoint_base(self._words, backend.ip, number)
        return found

    # --- elements ---

    def _elements(self, usable: Usable, *, guards: bool) -> Iterator[Element]:
        port, name = self._port, self._port.name
        yield Element(CLUSTER_IPS, (port.cluster_ip,))
        refused = "drop" if usable.anywhere else f"goto {REJECT}"
        internal, is_external = self._to(port.cluster_ip), bool(usable.external(port))
        if usable.internal(port):
            chain = LOCAL if port.internal_local else SERVICE
            yield Element(SERVICE_IPS, internal, f"goto {chain}{self._base}")
        else:
            yield Element(NO_ENDPOINT_SERVICES, internal, refused, name)
        onward = f"goto {EXTERNAL}{self._base}"
        for ip in (*port.external_ips, *port.load_balancer_ips):
            if usable.anywhere:
                yield Element(SERVICE_IPS, self._to(ip), onward)
            if not is_external:
                yield Element(NO_ENDPOINT_SERVICES, self._to(ip), refused, name)
        for ip in port.load_balancer_ips if guards else ():
            yield Element(FIREWALL_IPS, self._to(ip), f"goto {FIREWALL}{self._base}")
        node_port = port.protocol, str(port.node_port)
        if port.node_port and usable.anywhere:
            yield Element(SERVICE_NODE_PORTS, node_port, onward)
        if port.node_port and not is_external:
            yield Element(NO_ENDPOINT_NODE_PORTS, node_port, refused, name)

    def _to(self, address: str) -> tuple[str, ...]:
        return address, self._port.protocol, str(self._port.port)

    # --- chains ---

    def _masquerade(self, usable: Usable, *, is_internal: bool) -> Iterator[str]:
        """Yield the rule that marks what comes to the ClusterIP from elsewhere than pods."""
        options = self._options
        if not is_internal or not usable.internal(self._port):
            return
        if options.masquerade_all:
            yield f"ip daddr {self._port.cluster_ip} jump {MARK}"
        elif options.detector.is_known:
            yield f"ip daddr {self._port.cluster_ip} {options.detector.nft_others} jump {MARK}"

    def _spread(self, backends: Sequence[Backend]) -> Iterator[str]:
        """Yield the rules that give clients the endpoint that they had, and others an equal share."""
        bases = [self._base_of(each) for each in backends]
        for base in bases if self._port.affinity_seconds else ():
            yield f"ip saddr @{AFFINITY}{base} goto {ENDPOINT}{base}"
        shares = " , ".join(f"{at} : goto {ENDPOINT}{base}" for at, base in enumerate(bases))
        yield f"numgen random mod {len(bases)} vmap {{ {shares} }}"

    def _endpoint(self, backend: Backend) -> Chain:
        """Return the chain that translates to one endpoint."""
        base = self._base_of(backend)
        lines = [f"ip saddr {backend.ip} jump {MARK}"]
        if self._port.affinity_seconds:
            lines.append(f"update @{AFFINITY}{base} {{ ip saddr }}")
        lines.append(f"meta l4proto {self._port.protocol} dnat to {backend.text}")
        return self._named(f"{ENDPOINT}{base}", lines)

    def _external(self, usable: Usable) -> Chain:
        """Return the chain for traffic to addresses other than the ClusterIP."""
        port, detector = self._port, self._options.detector
        every = f"{SERVICE}{self._base}"
        lines = []
        if not port.external_local:
            lines.append(f"jump {MARK}")
        else:
            if detector.is_known:
                lines.append(f'{detector.nft_pods} goto {every} comment "short-circuit pod traffic"')
            own = "fib saddr type local"
            lines.append(f'{own} jump {MARK} comment "masquerade local traffic"')
            lines.append(f'{own} goto {every} comment "short-circuit local traffic"')
        if usable.external(port):
            lines.append(f"goto {LOCAL if port.external_local else SERVICE}{self._base}")
        return self._chain(EXTERNAL, lines)

    def _firewall(self, *, in_range: bool) -> Chain:
        """Return the chain that drops load balancer traffic from outside the source ranges."""
        port = self._port
        sources = [str(each) for each in port.source_ranges]
        sources += port.load_balancer_ips if in_range else ()
        return self._chain(FIREWALL, [f"ip saddr != {{ {' , '.join(sources)} }} drop"])
