# SPDX-License-Identifier: GPL-2.0-only
"""A low-level network document from YAML to typed values.

The functions follow the format's tables, one for each, key by key. Names are
checked against each other afterwards (`emu.cluster.network.names`), so one
reading tells everything that is wrong.
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final, get_args

from emu.cluster.network import values
from emu.cluster.network.action_reader import step
from emu.cluster.network.checks import Checks
from emu.cluster.network.model import (
    ETHERNET_MTU,
    LOCAL_TABLE,
    MAIN_TABLE,
    VXLAN_PORT,
    BridgeSpec,
    Compare,
    EndSpec,
    FdbSpec,
    IpipSpec,
    LinkSpec,
    NamespaceSpec,
    NeighbourSpec,
    NetworkDocument,
    Normalize,
    PortSpec,
    RouteScope,
    RouteSpec,
    RouteType,
    RulesFile,
    Sysctl,
    VxlanSpec,
)
from emu.cluster.network.names import check_names
from emu.document import MAX_OCTETS, Document, MappingNode, Value, load
from emu.document.fields import Fields, Place, Report, boolean, elements, integer, one_of, text
from emu.errors import DocumentError, Fault
from emu.sim.time import MILLISECOND, SECOND

if TYPE_CHECKING:
    from pathlib import Path

_NO_CHECKS: Final = Checks()
_TABLES: Final = {"default": 253, "main": MAIN_TABLE, "local": LOCAL_TABLE}
_NUD_STATES: Final = (
    "permanent",
    "noarp",
    "reachable",
    "stale",
    "delay",
    "probe",
    "incomplete",
    "failed",
    "none",
)
_ROUTE_TYPES: Final[tuple[RouteType, ...]] = get_args(RouteType)
_STATE_KINDS: Final = ("conntrack", "iptables", "fdb", "neigh", "route", "addr")


def is_network_document(value: Value) -> bool:
    """Return whether `value` is a low-level network document: it has namespaces, and no kind."""
    return isinstance(value, MappingNode) and "namespaces" in value and "kind" not in value


def load_network(path: Path, checks: Checks = _NO_CHECKS) -> NetworkDocument:
    """Return the network document in the file at `path`.

    Raises:
        DocumentError: the file is no such document, or has faults; all of them are told.
    """
    documents = load(path)
    if len(documents) != 1 or not is_network_document(documents[0].value):
        faults = [fault for document in documents for fault in document.faults]
        raise DocumentError([*faults, *_strangers(documents, str(path))])
    return read_network(documents[0], path.parent, checks)


def _strangers(documents: tuple[Document, ...], file: str) -> list[Fault]:
    """Return why these are not the one network document that a file has to hold, kinds by name."""
    line = documents[1].line if len(documents) > 1 else 1
    wanted = "has to be one document with the key namespaces and without the key kind"
    faults = [Fault(file, line, "$", wanted)]
    tops = [document.value for document in documents]
    of_kind = [value for value in tops if isinstance(value, MappingNode) and "kind" in value]
    if of_kind:
        kinds = ", ".join(dict.fromkeys(str(value["kind"]) for value in of_kind))
        what = f"objects of Kubernetes make a cluster, which is not a low-level network ({kinds:.200})"
        faults.append(Fault(file, of_kind[0].line_of("kind"), "$.kind", what))
    return faults


def read_network(document: Document, folder: Path, checks: Checks = _NO_CHECKS) -> NetworkDocument:
    """Return what a network document says.

    Args:
        document: the YAML document.
        folder: where the rules files are that it names.
        checks: what other parts have to say about commands, sysctls and rules.

    Raises:
        DocumentError: with all faults of the document and of its rules files.
    """
    report = Report(document.file, document.faults)
    top = Place(document.value, report)
    network = _network(top, document.file, folder, checks)
    check_names(network, top)
    report.check()
    return network


def _network(place: Place, file: str, folder: Path, checks: Checks) -> NetworkDocument:
    fields = Fields(place)

    def rules(kind: str) -> dict[str, RulesFile]:
        return dict(fields.entries(kind, lambda entry: _rules_file(entry, kind, folder, checks)))

    return fields.done(
        NetworkDocument(
            file=file,
            name=fields.get("name", text, ""),
            title=fields.get("title", text, ""),
            description=fields.get("description", text, ""),
            namespaces=fields.must("namespaces", lambda entry: _namespaces(entry, checks)),
            links=fields.each("links", _link),
            bridges=fields.each("bridges", _bridge),
            vxlans=fields.each("vxlans", _vxlan),
            ipips=fields.each("ipips", _ipip),
            neighbours=fields.each("neigh", _neighbour),
            routes=fields.each("routes", _route),
            ipset=rules("ipset"),
            iptables=rules("iptables"),
            nft=rules("nft"),
            iptables_backend=fields.get("iptables_backend", one_of("nft", "legacy"), "nft"),
            conntrack=fields.each("conntrack", values.ns_name),
            captures=fields.must("captures", lambda entry: elements(entry, values.capture_point)),
            actions=fields.each("actions", lambda entry: step(entry, checks)),
            quiet=fields.get("quiet", values.duration, 400 * MILLISECOND),
            quiet_limit=fields.get("quiet_limit", values.duration, 15 * SECOND),
            normalize=fields.get("normalize", _normalize, Normalize()),
            compare=fields.get("compare", _compare, Compare()),
        )
    )


def _namespaces(place: Place, checks: Checks) -> tuple[NamespaceSpec, ...]:
    if not isinstance(place.value, MappingNode):
        place.wrong("a mapping of names to namespaces")
        return ()
    if not place.value:
        place.fault("there has to be one namespace at least")
    return tuple([_namespace(place.at(name), name, checks) for name in place.value])


def _namespace(place: Place, name: str, checks: Checks) -> NamespaceSpec:
    values.check_new_ns(place, name)
    if place.value is None:
        return NamespaceSpec(name, line=place.line)
    fields = Fields(place)
    return fields.done(
        NamespaceSpec(
            name,
            sysctls=_sysctls(fields, "sysctls", checks),
            if_sysctls=_sysctls(fields, "if_sysctls", checks),
            line=place.line,
        )
    )


def _sysctls(fields: Fields, key: str, checks: Checks) -> tuple[Sysctl, ...]:
    def value(place: Place) -> str:
        if isinstance(place.value, str) or type(place.value) is int:
            return str(place.value)
        place.wrong("a whole number or text")
        return ""

    sysctls = [Sysctl(name, setting) for name, setting in fields.entries(key, value)]
    if checks.sysctl is not None:
        for sysctl in sysctls:
            if complaint := checks.sysctl(*sysctl):
                fields.place.at(key).at(sysctl.name).fault(complaint)
    return tuple(sysctls)


def _link(place: Place) -> LinkSpec:
    fields = Fields(place)
    return fields.done(LinkSpec(a=fields.must("a", _end), b=fields.must("b", _end)))


def _end(place: Place) -> EndSpec:
    fields = Fields(place)
    return fields.done(
        EndSpec(
            ns=fields.must("ns", values.ns_name),
            iface=fields.must("if", values.iface_name),
            mac=fields.must("mac", values.device_mac),
            addresses=fields.each("addr", values.interface),
            mtu=fields.get("mtu", values.mtu, ETHERNET_MTU),
            up=fields.get("up", boolean, True),
            line=place.line,
        )
    )


def _bridge(place: Place) -> BridgeSpec:
    fields = Fields(place)
    return fields.done(
        BridgeSpec(
            ns=fields.must("ns", values.ns_name),
            iface=fields.must("if", values.iface_name),
            mac=fields.must("mac", values.device_mac),
            addresses=fields.each("addr", values.interface),
            mtu=fields.get("mtu", values.mtu, None),
            up=fields.get("up", boolean, True),
            ageing=fields.get("ageing", values.duration, 300 * SECOND),
            ports=fields.each("ports", _port),
            line=place.line,
        )
    )


def _port(place: Place) -> PortSpec:
    if isinstance(place.value, str):
        return PortSpec(values.iface_name(place))
    fields = Fields(place)
    return fields.done(
        PortSpec(
            iface=fields.must("if", values.iface_name),
            hairpin=fields.get("hairpin", boolean, False),
            learning=fields.get("learning", boolean, True),
            flood=fields.get("flood", boolean, True),
            isolated=fields.get("isolated", boolean, False),
        )
    )


def _vxlan(place: Place) -> VxlanSpec:
    fields = Fields(place)
    return fields.done(
        VxlanSpec(
            ns=fields.must("ns", values.ns_name),
            iface=fields.must("if", values.iface_name),
            mac=fields.must("mac", values.device_mac),
            vni=fields.must("vni", integer(0, 2**24 - 1)),
            local=fields.must("local", values.ipv4),
            dev=fields.must("dev", values.iface_name),
            dstport=fields.get("dstport", values.port, VXLAN_PORT),
            addresses=fields.each("addr", values.interface),
            mtu=fields.get("mtu", values.mtu, None),
            up=fields.get("up", boolean, True),
            learning=fields.get("learning", boolean, False),
            udpcsum=fields.get("udpcsum", boolean, True),
            ttl=fields.get("ttl", values.octet, 0),
            fdb=fields.each("fdb", _fdb),
            line=place.line,
        )
    )


def _ipip(place: Place) -> IpipSpec:
    fields = Fields(place)
    return fields.done(
        IpipSpec(
            ns=fields.must("ns", values.ns_name),
            iface=fields.must("if", values.iface_name),
            local=fields.get("local", values.ipv4, None),
            remote=fields.get("remote", values.ipv4, None),
            dev=fields.get("dev", values.iface_name, None),
            addresses=fields.each("addr", values.interface),
            mtu=fields.get("mtu", values.mtu, None),
            up=fields.get("up", boolean, True),
            ttl=fields.get("ttl", values.octet, 0),
            tos=fields.get("tos", values.octet, 0),
            pmtudisc=fields.get("pmtudisc", boolean, False),
            line=place.line,
        )
    )


def _fdb(place: Place) -> FdbSpec:
    fields = Fields(place)
    return fields.done(FdbSpec(mac=fields.must("mac", values.mac), dst=fields.must("dst", values.ipv4)))


def _neighbour(place: Place) -> NeighbourSpec:
    fields = Fields(place)
    return fields.done(
        NeighbourSpec(
            ns=fields.must("ns", values.ns_name),
            dev=fields.must("dev", values.iface_name),
            ip=fields.must("ip", values.ipv4),
            mac=fields.must("mac", values.mac),
            state=fields.get("state", one_of(*_NUD_STATES), "permanent"),
            line=place.line,
        )
    )


def _route(place: Place) -> RouteSpec:
    fields = Fields(place)
    kind: RouteType = fields.get("type", one_of(*_ROUTE_TYPES), "unicast")
    via = fields.get("via", values.ipv4, None)
    # What `ip route add` does without a scope (iproute2, ip/iproute.c).
    scope: RouteScope = (
        "host" if kind == "local" else "link" if kind == "unicast" and via is None else "global"
    )
    return fields.done(
        RouteSpec(
            ns=fields.must("ns", values.ns_name),
            dst=fields.must("dst", values.prefix),
            type=kind,
            via=via,
            dev=fields.get("dev", values.iface_name, None),
            src=fields.get("src", values.ipv4, None),
            scope=fields.get("scope", one_of("link", "host", "global"), scope),
            metric=fields.get("metric", integer(0, 2**32 - 1), 0),
            mtu=fields.get("mtu", values.mtu, None),
            table=fields.get("table", _table, LOCAL_TABLE if kind == "local" else MAIN_TABLE),
            onlink=fields.get("onlink", boolean, False),
            line=place.line,
        )
    )


def _table(place: Place) -> int:
    value = place.value
    if isinstance(value, str) and value in _TABLES:
        return _TABLES[value]
    if isinstance(value, str):
        place.wrong(f"a number or one of {', '.join(_TABLES)}")
        return MAIN_TABLE
    return integer(1, 2**32 - 1)(place)


def _normalize(place: Place) -> Normalize:
    fields = Fields(place)
    return fields.done(
        Normalize(
            random_ports=fields.get("random_ports", boolean, False),
            known_ports=fields.each("known_ports", values.port_or_any),
        )
    )


def _compare(place: Place) -> Compare:
    fields = Fields(place)
    unordered = fields.place.at("unordered").value
    return fields.done(
        Compare(
            frames=fields.get("frames", boolean, True),
            state=fields.get("state", boolean, True),
            results=fields.get("results", boolean, True),
            unordered=fields.get("unordered", boolean, False)
            if isinstance(unordered, bool)
            else fields.each("unordered", values.capture_point) or False,
            ignore=fields.each("ignore", values.field_name),
            ignore_state=fields.each("ignore_state", one_of(*_STATE_KINDS)),
            timing=fields.get("timing", values.duration, None),
            detour=fields.each("detour", values.capture_point),
        )
    )


def _rules_file(place: Place, kind: str, folder: Path, checks: Checks) -> RulesFile:
    name = values.file_name(place)
    if not name:
        return RulesFile("", "")
    path = folder / name
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        place.fault(f"{name!r} has to be relative to the document's folder")
        return RulesFile(str(path), "")
    try:
        content = _content(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        place.fault(f"{str(path)!r} cannot be read: {reason}")
        return RulesFile(str(path), "")
    if checks.rules is not None:
        for line, complaint in checks.rules(kind, content):
            place.fault_in(str(path), line, complaint)
    return RulesFile(str(path), content, line=place.line)


def _content(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("it is no plain file")
    with path.open("rb") as stream:
        octets = stream.read(MAX_OCTETS + 1)
    if len(octets) > MAX_OCTETS:
        raise ValueError(f"it is longer than {MAX_OCTETS // 1024 // 1024} MiB")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
