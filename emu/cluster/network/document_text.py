# SPDX-License-Identifier: GPL-2.0-only
"""The text of a network document, one line for each thing in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from emu.cluster.network.action_text import fields_of, in_seconds
from emu.cluster.network.model import (
    ETHERNET_MTU,
    LOCAL_TABLE,
    MAIN_TABLE,
    VXLAN_PORT,
    BridgeSpec,
    Compare,
    EndSpec,
    IpipSpec,
    NeighbourSpec,
    Normalize,
    PortSpec,
    RouteSpec,
    VxlanSpec,
)
from emu.sim.time import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emu.cluster.network.action_text import Fields, Value
    from emu.cluster.network.model import NetworkDocument, Sysctl

_BARE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*|[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?")
_RESERVED: Final = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null", "none"})
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


def render(document: NetworkDocument, head: Iterable[str]) -> str:
    """Return the text of `document`, with the lines of `head` as comments above it."""
    lines = [comment(line) for line in head]
    lines += _document(document)
    return "\n".join(lines) + "\n"


def comment(text: str) -> str:
    """Return a line of a comment; what cannot stand in one is replaced."""
    return f"# {_UNPRINTABLE.sub('?', text)}".rstrip()


def scalar(value: str | float) -> str:
    """Return a value as YAML writes it, in quotes where it could be taken for something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if _BARE.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return quoted(value)


def quoted(value: str) -> str:
    """Return text in double quotes."""
    return json.dumps(value, ensure_ascii=False)


def flow(value: Value) -> str:
    """Return a value in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def _document(document: NetworkDocument) -> Iterator[str]:
    for key in ("name", "title", "description"):
        if text := getattr(document, key):
            yield f"{key}: {scalar(text)}"
    yield from ("", "namespaces:")
    for spec in document.namespaces:
        yield from _namespace(spec.name, spec.sysctls, spec.if_sysctls)
    links: list[Value] = [{"a": _end(link.a), "b": _end(link.b)} for link in document.links]
    yield from _section("links", links)
    yield from _section("bridges", map(_bridge, document.bridges))
    yield from _section("vxlans", map(_vxlan, document.vxlans))
    yield from _section("ipips", map(_ipip, document.ipips))
    yield from _section("neigh", map(_neighbour, document.neighbours))
    yield from _section("routes", map(_route, document.routes))
    kinds = {"ipset": document.ipset, "iptables": document.iptables, "nft": document.nft}
    files: Fields = {
        kind: {ns: file.path for ns, file in named.items()} for kind, named in kinds.items() if named
    }
    if files:
        yield ""
    for kind, named in files.items():
        yield f"{kind}: {flow(named)}"
    if document.iptables and document.iptables_backend != "nft":
        yield f"iptables_backend: {document.iptables_backend}"
    if document.conntrack:
        yield f"conntrack: {flow(list(document.conntrack))}"
    points: list[Value] = [str(point) for point in document.captures]
    yield from (_section("captures", points) if points else ("", "captures: []"))
    yield from _section("actions", map(fields_of, document.actions))
    yield from _end_of(document)


def _end_of(document: NetworkDocument) -> Iterator[str]:
    """Yield what is said about the end of a run, and about comparisons."""
    rest: Fields = {}
    if document.quiet != 400 * MILLISECOND:
        rest["quiet"] = in_seconds(document.quiet)
    if document.quiet_limit != 15 * SECOND:
        rest["quiet_limit"] = in_seconds(document.quiet_limit)
    if normalize := _normalize(document.normalize):
        rest["normalize"] = normalize
    if compare := _compare(document.compare):
        rest["compare"] = compare
    if rest:
        yield ""
    yield from (f"{key}: {flow(value)}" for key, value in rest.items())


def _normalize(normalize: Normalize) -> Fields:
    fields: Fields = {"random_ports": True} if normalize.random_ports else {}
    if normalize.known_ports:
        fields["known_ports"] = list(normalize.known_ports)
    return fields


def _compare(compare: Compare) -> Fields:
    fields: Fields = {name: False for name in ("frames", "state", "results") if not getattr(compare, name)}
    if isinstance(compare.unordered, tuple):
        fields["unordered"] = [str(point) for point in compare.unordered]
    elif compare.unordered:
        fields["unordered"] = True
    if compare.ignore:
        fields["ignore"] = list(compare.ignore)
    if compare.ignore_state:
        fields["ignore_state"] = list(compare.ignore_state)
    if compare.timing is not None:
        fields["timing"] = in_seconds(compare.timing)
    if compare.detour:
        fields["detour"] = [str(point) for point in compare.detour]
    return fields


def _section(key: str, values: Iterable[Value]) -> Iterator[str]:
    lines = [f"- {flow(value)}" for value in values]
    if lines:
        yield from ("", f"{key}:")
        yield from lines


def _namespace(name: str, early: Iterable[Sysctl], late: Iterable[Sysctl]) -> Iterator[str]:
    kinds = {"sysctls": tuple(early), "if_sysctls": tuple(late)}
    given = {key: settings for key, settings in kinds.items() if settings}
    yield f"  {scalar(name)}:" if given else f"  {scalar(name)}: {{}}"
    for key, settings in given.items():
        values: Mapping[str, str] = dict(settings)
        yield f"    {key}:"
        for setting, value in values.items():
            yield f"      {scalar(setting)}: {value if _NUMBER.fullmatch(value) else quoted(value)}"


def _end(end: EndSpec) -> Fields:
    fields: Fields = {"ns": end.ns, "if": end.iface, "mac": str(end.mac)}
    if end.addresses:
        fields["addr"] = [str(address) for address in end.addresses]
    if end.mtu != ETHERNET_MTU:
        fields["mtu"] = end.mtu
    if not end.up:
        fields["up"] = False
    return fields


def _bridge(bridge: BridgeSpec) -> Fields:
    fields: Fields = {"ns": bridge.ns, "if": bridge.iface, "mac": str(bridge.mac)}
    if bridge.addresses:
        fields["addr"] = [str(address) for address in bridge.addresses]
    if bridge.mtu is not None:
        fields["mtu"] = bridge.mtu
    if not bridge.up:
        fields["up"] = False
    if bridge.ageing != 300 * SECOND:
        fields["ageing"] = in_seconds(bridge.ageing)
    if bridge.ports:
        fields["ports"] = [_port(port) for port in bridge.ports]
    return fields


def _port(port: PortSpec) -> Value:
    switches = {"hairpin": False, "learning": True, "flood": True, "isolated": False}
    given: Fields = {
        name: getattr(port, name) for name, usual in switches.items() if getattr(port, name) != usual
    }
    return {"if": port.iface, **given} if given else port.iface


def _vxlan(vxlan: VxlanSpec) -> Fields:
    fields: Fields = {"ns": vxlan.ns, "if": vxlan.iface, "mac": str(vxlan.mac)}
    if vxlan.addresses:
        fields["addr"] = [str(address) for address in vxlan.addresses]
    fields |= {"vni": vxlan.vni, "local": str(vxlan.local), "dev": vxlan.dev}
    if vxlan.dstport != VXLAN_PORT:
        fields["dstport"] = vxlan.dstport
    if vxlan.mtu is not None:
        fields["mtu"] = vxlan.mtu
    usual = {"up": True, "learning": False, "udpcsum": True, "ttl": 0}
    fields |= {name: getattr(vxlan, name) for name, value in usual.items() if getattr(vxlan, name) != value}
    if vxlan.fdb:
        fields["fdb"] = [{"mac": str(entry.mac), "dst": str(entry.dst)} for entry in vxlan.fdb]
    return fields


def _ipip(tunnel: IpipSpec) -> Fields:
    fields: Fields = {"ns": tunnel.ns, "if": tunnel.iface}
    if tunnel.addresses:
        fields["addr"] = [str(address) for address in tunnel.addresses]
    for key in ("local", "remote", "dev"):
        if (value := getattr(tunnel, key)) is not None:
            fields[key] = str(value)
    if tunnel.mtu is not None:
        fields["mtu"] = tunnel.mtu
    usual = {"up": True, "ttl": 0, "tos": 0, "pmtudisc": False}
    return fields | {
        name: getattr(tunnel, name) for name, value in usual.items() if getattr(tunnel, name) != value
    }


def _neighbour(entry: NeighbourSpec) -> Fields:
    fields: Fields = {"ns": entry.ns, "dev": entry.dev, "ip": str(entry.ip), "mac": str(entry.mac)}
    return fields if entry.state == "permanent" else fields | {"state": entry.state}


def _route(route: RouteSpec) -> Fields:
    fields: Fields = {"ns": route.ns, "dst": "default" if route.dst.length == 0 else str(route.dst)}
    if route.type != "unicast":
        fields["type"] = route.type
    for key, value in (("via", route.via), ("dev", route.dev), ("src", route.src)):
        if value is not None:
            fields[key] = str(value)
    usual = (
        "host" if route.type == "local" else "link" if route.type == "unicast" and not route.via else "global"
    )
    if route.scope != usual:
        fields["scope"] = route.scope
    if route.metric:
        fields["metric"] = route.metric
    if route.mtu is not None:
        fields["mtu"] = route.mtu
    if route.table != (LOCAL_TABLE if route.type == "local" else MAIN_TABLE):
        fields["table"] = route.table
    if route.onlink:
        fields["onlink"] = True
    return fields
