# SPDX-License-Identifier: GPL-2.0-only
"""Bridges, tunnels and FDBs of a node, and the addresses of all its devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network.importing.node import Role
from emu.cluster.network.model import BridgeSpec, FdbSpec, IpipSpec, PortSpec, VxlanSpec
from emu.sim.time import MILLISECOND
from emu.wire.addresses import ZERO_MAC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.network.importing.draft import Draft
    from emu.cluster.network.importing.dump import Device, FdbEntry
    from emu.cluster.network.importing.node import Node
    from emu.wire.addresses import Interface, IpAddress

LEAST_MTU: Final = 68
MOST_MTU: Final = 65535
VXLAN_HEADERS: Final = 50
"""Octets that a VXLAN device's packets have in front of the inner IP header, in IPv4."""

_CENTISECOND: Final = 10 * MILLISECOND


def mtu_of(device: Device) -> int:
    """Return the MTU of a device, within what a document can say."""
    return min(max(device.mtu, LEAST_MTU), MOST_MTU)


def early_addresses(device: Device) -> tuple[Interface, ...]:
    """Return the addresses that a document's device can begin with; the others take a command."""
    if device.name == "lo":
        return ()
    return tuple(
        dict.fromkeys(one.interface for one in device.addresses if one.peer is None and one.scope == "global")
    )


def late_addresses(device: Device) -> Iterator[tuple[str, ...]]:
    """Yield the words of the commands that add the other addresses, without `ip addr add`."""
    early = early_addresses(device)
    for one in device.addresses:
        if one.interface in early or one.interface.address.is_loopback:
            continue
        words = (
            (str(one.interface),) if one.peer is None else (str(one.interface.address), "peer", str(one.peer))
        )
        yield (*words, "scope", one.scope, "dev", device.name)


def write_bridges(node: Node, draft: Draft) -> None:
    """Write the bridges, with the cables that are their ports."""
    for bridge in node.with_role(Role.BRIDGE):
        ports = [port for port in node.dump.devices if port.master == bridge.name and node.is_kept(port.name)]
        cables = [port for port in ports if node.roles[port.name] not in {Role.VXLAN, Role.BRIDGE}]
        draft.bridges.append(
            BridgeSpec(
                node.ns,
                bridge.name,
                node.mac(bridge),
                early_addresses(bridge),
                mtu=mtu_of(bridge),
                up=bridge.up and node.has_running_port(bridge),
                ageing=bridge.ageing * _CENTISECOND,
                ports=tuple(_port(port) for port in cables),
            )
        )
        for one in (bridge, *cables):
            if one.unlike:
                draft.left_out.append(f"{node.ns}/{one.name}: {', '.join(one.unlike)}")
        for port in ports:
            if node.roles[port.name] is Role.VXLAN:
                argv = ("ip", "link", "set", port.name, "master", bridge.name)
                draft.execute(node.ns, argv, f"{port.name} is a port of {bridge.name}")


def _port(device: Device) -> PortSpec:
    port = device.port
    if port is None:
        return PortSpec(device.name)
    return PortSpec(device.name, port.hairpin, port.learning, port.flood, port.isolated)


# --- VXLAN ---


def drop_vxlans(node: Node, draft: Draft) -> None:
    """Take away the VXLAN devices that a document cannot have, and say why."""
    taken: set[tuple[int, int]] = set()
    for device in list(node.with_role(Role.VXLAN)):
        why = _why_not(node, device)
        vxlan = device.vxlan
        if not why and vxlan is not None and (vxlan.vni, vxlan.port) in taken:
            why = f"VNI {vxlan.vni} with UDP port {vxlan.port} is another device's"
        if why:
            node.roles[device.name] = Role.GONE
            draft.left_out.append(f"{node.ns}/{device.name}: {why}")
        elif vxlan is not None:
            taken.add((vxlan.vni, vxlan.port))


def _why_not(node: Node, device: Device) -> str:
    vxlan = device.vxlan
    if vxlan is None:
        return "a VXLAN device of which ip-link.json says nothing"
    bad = [name for name in vxlan.unlike if name in {"external", "vnifilter", "group", "IPv6"}]
    if bad:
        return f"a VXLAN device with {', '.join(bad)}, which is not modelled"
    lower = lower_of(node, device)
    if lower is None:
        return "a VXLAN device, and nothing tells by which device it sends"
    if mtu_of(lower) < LEAST_MTU + VXLAN_HEADERS:
        return f"a VXLAN device, and the MTU of {lower.name} leaves no room for its headers"
    if local_of(node, device, lower) is None:
        return "a VXLAN device, and nothing tells its own address"
    return ""


def lower_of(node: Node, device: Device) -> Device | None:
    """Return the device that a VXLAN device sends by, None if the document has none."""
    vxlan = device.vxlan
    if vxlan is None:
        return None
    if vxlan.lower:
        found = node.devices.get(vxlan.lower)
    else:
        found = next(
            (
                one
                for one in node.dump.devices
                if any(own.interface.address == vxlan.local for own in one.addresses) and one.name != "lo"
            ),
            None,
        )
    fits = found is not None and node.is_kept(found.name) and node.roles[found.name] is not Role.VXLAN
    return found if fits else None


def local_of(node: Node, device: Device, lower: Device) -> IpAddress | None:
    """Return the address that a VXLAN device sends from, None if there is none."""
    if device.vxlan is not None and device.vxlan.local is not None:
        return device.vxlan.local
    return next((one.interface.address for one in node.owner(lower).addresses), None)


def write_vxlans(node: Node, draft: Draft) -> None:
    """Write the VXLAN devices with their permanent destinations; commands enter the others."""
    for device in node.with_role(Role.VXLAN):
        vxlan, lower = device.vxlan, lower_of(node, device)
        local = None if lower is None else local_of(node, device, lower)
        if vxlan is None or lower is None or local is None:
            continue
        entries = [entry for entry in node.dump.fdb if entry.device == device.name and entry.dst is not None]
        permanent = {
            FdbSpec(entry.mac, entry.dst): None
            for entry in entries
            if entry.dst is not None and entry.state and not entry.further
        }
        if vxlan.remote is not None and not entries:
            permanent[FdbSpec(ZERO_MAC, vxlan.remote)] = None
        most = mtu_of(lower) - VXLAN_HEADERS
        if device.mtu > most:
            draft.left_out.append(
                f"{node.ns}/{device.name}: its MTU of {device.mtu} (it is {most}, as fits into {lower.name})"
            )
        if vxlan.unlike:
            draft.left_out.append(f"{node.ns}/{device.name}: {', '.join(vxlan.unlike)}")
        draft.vxlans.append(
            VxlanSpec(
                node.ns,
                device.name,
                node.mac(device),
                vxlan.vni,
                local,
                lower.name,
                vxlan.port,
                early_addresses(device),
                mtu=max(min(mtu_of(device), most), LEAST_MTU),
                up=device.up,
                learning=vxlan.learning,
                udpcsum=vxlan.udpcsum,
                ttl=vxlan.ttl,
                fdb=tuple(permanent),
            )
        )


# --- IPIP ---


def write_ipips(node: Node, draft: Draft) -> None:
    """Write the IPIP devices."""
    for device in node.with_role(Role.IPIP):
        ipip = device.ipip
        if ipip is None:
            continue
        lower = ipip.lower if node.is_kept(ipip.lower) else ""
        unlike = (*ipip.unlike, *([f"dev {ipip.lower}"] if ipip.lower and not lower else []))
        if unlike:
            draft.left_out.append(f"{node.ns}/{device.name}: {', '.join(unlike)}")
        draft.ipips.append(
            IpipSpec(
                node.ns,
                device.name,
                ipip.local,
                ipip.remote,
                lower or None,
                early_addresses(device),
                mtu=mtu_of(device),
                up=device.up,
                ttl=ipip.ttl,
                tos=ipip.tos,
                pmtudisc=ipip.pmtudisc,
            )
        )


# --- what takes a command ---


def write_late(node: Node, draft: Draft) -> None:
    """Write the commands that take devices up that do not run, and that add what `addr` cannot say."""
    for device in node.dump.devices:
        if not node.is_kept(device.name):
            continue
        if node.is_late(device):
            draft.execute(node.ns, ("ip", "link", "set", device.name, "up"), f"{device.name} is up")
        for words in late_addresses(device):
            draft.execute(node.ns, ("ip", "addr", "add", *words), f"address {' '.join(words)}")


def write_fdb(node: Node, draft: Draft) -> None:
    """Write the commands that enter what is in FDBs by learning, or by hand."""
    own = {device.mac for device in node.dump.devices}
    seen: set[tuple[bytes, str]] = set()
    for entry in node.dump.fdb:
        if not node.is_kept(entry.device):
            continue
        if entry.dst is not None:
            words = _remote(node, entry)
        elif entry.mac in own or (entry.mac, entry.master) in seen or entry.mac.is_group:
            continue
        else:
            seen.add((entry.mac, entry.master))
            words = _behind_port(node, entry)
        if words:
            draft.execute(node.ns, ("bridge", "fdb", *words), f"FDB entry {' '.join(words[1:])}")


def _remote(node: Node, entry: FdbEntry) -> tuple[str, ...]:
    """Return the words of an entry that the document's own list cannot have, none for the others."""
    if node.roles[entry.device] is not Role.VXLAN or (entry.state and not entry.further):
        return ()
    state = entry.state or "dynamic"
    return ("append", str(entry.mac), "dev", entry.device, "dst", str(entry.dst), *entry.further, state)


def _behind_port(node: Node, entry: FdbEntry) -> tuple[str, ...]:
    device = node.devices.get(entry.device)
    if device is None or not device.up:
        return ()
    where = "self" if entry.device == entry.master else "master"
    if where == "master" and (device.master != entry.master or node.owner(device) is device):
        return ()
    return ("replace", str(entry.mac), "dev", entry.device, where, entry.state or "dynamic")
