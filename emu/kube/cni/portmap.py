# SPDX-License-Identifier: GPL-2.0-only
"""`portmap`: ports of the node that lead to a port of the container (`hostPort`), by iptables.

    PREROUTING, OUTPUT --to an address of the node--> CNI-HOSTPORT-DNAT
        --one of the container's ports--> CNI-DN-<21 hex>: mark hairpins, then DNAT
    POSTROUTING --> CNI-HOSTPORT-MASQ: masquerade what is marked

Of the mark there is one bit for all containers. A source in the container's own
subnet counts as a hairpin: its answer might never come back through the node.

Source: containernetworking/plugins plugins/meta/portmap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.errors import AddressError
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.fields import Fields
from emu.kube.cni.ipmasq import chain_name
from emu.kube.cni.rules import Tables, Words
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.cni.call import Invocation
    from emu.kube.cni.result import Result
    from emu.wire.addresses import Interface

DNAT: Final = "CNI-HOSTPORT-DNAT"
SET_MARK: Final = "CNI-HOSTPORT-SETMARK"
MASQUERADE: Final = "CNI-HOSTPORT-MASQ"
_MOST_PORTS: Final = 15  # of one rule: the kernel's XT_MULTI_PORTS
_LONGEST_COMMENT: Final = 255
_UDP: Final = 17


class Mapping(NamedTuple):
    """A port of the node; `host_ip` None for all its addresses."""

    host_port: int
    container_port: int
    protocol: str
    host_ip: IpAddress | None


@attrs.frozen
class Options:
    """What a configuration says."""

    snat: bool
    masq_all: bool
    mark_bit: int
    set_mark_chain: str
    conditions: Words


def read(fields: Fields) -> Options:
    """Return the options."""
    external = fields.text("externalSetMarkChain")
    if external and "markMasqBit" in fields.values:
        fields.wrong("markMasqBit", "Cannot specify externalSetMarkChain and markMasqBit")
    bit = fields.number("markMasqBit", 13)
    if not 0 <= bit <= 31:
        fields.wrong("markMasqBit", "MasqMarkBit must be between 0 and 31")
    if fields.text("backend", "iptables") != "iptables":
        fields.wrong("backend", "is modelled for iptables alone")
    return Options(
        fields.flag("snat", default=True),
        fields.flag("masqAll"),
        bit,
        external,
        fields.texts("conditionsV4"),
    )


class Portmap:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Write the rules for the ports that the runtime names, and return the previous result."""
        options = given.conf.read(read)
        if given.previous is None:
            raise CniError("must be called as chained plugin")
        mappings = _mappings(given)
        address = _address(given.previous)
        if mappings and address is not None:
            _forward(given, options, mappings, address)
            _forget_connections(given, mappings)
        return given.previous

    def delete(self, given: Invocation) -> None:
        """Delete the container's chain and what leads there; the common chains stay."""
        name = chain_name(given.network.name, given.call.container_id, "DN-")
        Tables(given.call.fabric, given.call.host).remove_chain("nat", name, (DNAT,))

    def check(self, given: Invocation) -> None:
        """Look whether the container's rules are there."""
        options, mappings = given.conf.read(read), _mappings(given)
        if given.previous is None:
            raise CniError("Required prevResult missing")
        address = _address(given.previous)
        if not mappings or address is None:
            return
        tables = Tables(given.call.fabric, given.call.host)
        name = chain_name(given.network.name, given.call.container_id, "DN-")
        wanted = [(name, rule) for rule in _rules(options, mappings, address)]
        wanted += [(DNAT, rule) for rule in _entries(given, options, mappings, name)]
        for chain, rule in wanted:
            if tables.chain("nat", chain) is None or not tables.has("nat", chain, rule):
                raise CniError(f"could not check ipv4 dnat: rule {' '.join(rule)} in chain {chain} not found")

    def status(self, given: Invocation) -> None:
        """Do nothing but read: it can always be asked."""
        given.conf.read(read)

    def gc(self, given: Invocation) -> None:
        """Do nothing: this plugin collects nothing."""


def _forward(given: Invocation, options: Options, mappings: Sequence[Mapping], address: Interface) -> None:
    tables = Tables(given.call.fabric, given.call.host)
    if options.snat:
        if not options.set_mark_chain:
            _ensure_marking(tables, 1 << options.mark_bit)
        _allow_localhost(given, address.address)
    tables.ensure_chain("nat", DNAT)
    for chain in ("PREROUTING", "OUTPUT"):
        tables.append_unique("nat", chain, ("-m", "addrtype", "--dst-type", "LOCAL", "-j", DNAT))
    name = chain_name(given.network.name, given.call.container_id, "DN-")
    tables.ensure_chain("nat", name)
    for rule in _rules(options, mappings, address):
        tables.append_unique("nat", name, rule)
    for rule in _entries(given, options, mappings, name):
        tables.append_unique("nat", DNAT, rule)


def _ensure_marking(tables: Tables, bit: int) -> None:
    mark = f"{bit:#x}/{bit:#x}"
    tables.ensure_chain("nat", SET_MARK)
    comment = ("-m", "comment", "--comment", "CNI portfwd masquerade mark")
    tables.append_unique("nat", SET_MARK, (*comment, "-j", "MARK", "--set-xmark", mark))
    tables.ensure_chain("nat", MASQUERADE)
    tables.append_unique("nat", MASQUERADE, ("-m", "mark", "--mark", mark, "-j", "MASQUERADE"))
    comment = ("-m", "comment", "--comment", "CNI portfwd requiring masquerade")
    tables.insert_unique("nat", "POSTROUTING", (*comment, "-j", MASQUERADE))


def _allow_localhost(given: Invocation, address: IpAddress) -> None:
    """Let packets from 127.0.0.0/8 leave by the device that leads to the container."""
    from emu.kernel.fib import Flow  # noqa: PLC0415 - most pods map no port

    found = given.call.host.fib.lookup(Flow(address))
    if found is not None and found.route.nexthops:
        device = found.route.nexthops[0].device
        given.call.host.sysctl.set(f"net/ipv4/conf/{device}/route_localnet", 1)


def _rules(options: Options, mappings: Sequence[Mapping], address: Interface) -> list[Words]:
    """Return the rules of a container's chain."""
    mark = options.set_mark_chain or SET_MARK
    rules: list[Words] = []
    for each in mappings:
        base: Words = ("-p", each.protocol, "--dport", str(each.host_port))
        if each.host_ip is not None and each.host_ip != ANY_IP4:
            base = (*base, "-d", str(each.host_ip))
        if options.snat:
            near = "0.0.0.0/0" if options.masq_all else str(address)
            rules.append((*base, "-s", near, "-j", mark))
            if not options.masq_all:
                rules.append((*base, "-s", "127.0.0.1", "-j", mark))
        destination = f"{address.address}:{each.container_port}"
        rules.append((*base, "-j", "DNAT", "--to-destination", destination))
    return rules


def _entries(given: Invocation, options: Options, mappings: Sequence[Mapping], name: str) -> list[Words]:
    """Return the rules of the common chain that lead to a container's."""
    text = f'dnat name: "{given.network.name}" id: "{given.call.container_id}"'[:_LONGEST_COMMENT]
    entries: list[Words] = []
    for protocol in sorted({each.protocol for each in mappings}):
        ports = [str(each.host_port) for each in mappings if each.protocol == protocol]
        for at in range(0, len(ports), _MOST_PORTS):
            some = ",".join(ports[at : at + _MOST_PORTS])
            match = ("-m", "comment", "--comment", text, "-m", "multiport", "-p", protocol)
            entries.append((*match, "--destination-ports", some, *options.conditions, "-j", name))
    return entries


def _mappings(given: Invocation) -> tuple[Mapping, ...]:
    """Return the mappings that the runtime names, those of a host address of IPv6 left out.

    Raises:
        CniError: they are wrong; all faults are told.
    """
    fields = Fields(given.runtime, "$.runtimeConfig")
    found = []
    for each in fields.objects("portMappings"):
        mapping = Mapping(
            each.number("hostPort"),
            each.number("containerPort"),
            each.text("protocol", "tcp").lower(),
            _host_ip(each),
        )
        for key, port in (("hostPort", mapping.host_port), ("containerPort", mapping.container_port)):
            if not 0 < port <= 0xFFFF:
                each.wrong(key, f"Invalid port number: {port}")
        if mapping.protocol not in {"tcp", "udp", "sctp"}:
            each.wrong("protocol", f"{mapping.protocol!r} is none of tcp, udp, sctp")
        if mapping.host_ip is None or mapping.host_ip.family == 4:
            found.append(mapping)
    if fields.faults:
        raise CniError("; ".join(map(str, fields.faults)), ErrorCode.INVALID_NETWORK_CONFIG)
    return tuple(found)


def _host_ip(fields: Fields) -> IpAddress | None:
    text = fields.text("hostIP")
    try:
        return IpAddress.parse(text) if text else None
    except AddressError as error:
        fields.wrong("hostIP", str(error))
        return None


def _address(result: Result) -> Interface | None:
    """Return the container's first IPv4 address."""
    for ip in result.ips:
        inside = ip.interface is None or result.interfaces[ip.interface].sandbox
        if inside and ip.address.address.family == 4:
            return ip.address
    return None


def _forget_connections(given: Invocation, mappings: Sequence[Mapping]) -> None:
    """Delete the connections to UDP ports that are mapped: they would go on to where they went before."""
    host = given.call.host
    if host.used_netfilter is None:
        return
    ports = {each.host_port for each in mappings if each.protocol == "udp"}
    table = host.used_netfilter.conntrack
    now = given.call.fabric.loop.now
    for connection in table.entries(now) if ports else ():
        original = connection.original
        if original.protocol == _UDP and original.dport in ports:
            table.delete(connection, now)
