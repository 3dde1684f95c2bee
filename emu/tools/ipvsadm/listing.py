# SPDX-License-Identifier: GPL-2.0-only
"""What ipvsadm prints. Source: ipvsadm.c `print_service_entry`, `print_title`, `print_conn_entry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipvs.usage import Load, Stats, Usage
from emu.kernel.netfilter.ipvs.virtual import PROTOCOLS
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from emu.kernel.netfilter.ipvs.connection import Connection
    from emu.kernel.netfilter.ipvs.ipvs import Ipvs
    from emu.kernel.netfilter.ipvs.virtual import Destination, VirtualService
    from emu.sim.time import Instant

    Row = Callable[[Destination, Load], str]

VERSION: Final = "IP Virtual Server version 1.2.1 (size=4096)\n"
_TITLES: Final[Mapping[str, str]] = {
    "": (
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
    ),
    "stats": "{:<33} {:>8} {:>8} {:>8} {:>8} {:>8}\n  -> RemoteAddress:Port\n".format(
        "Prot LocalAddress:Port", "Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"
    ),
    "thresholds": "{:<33} {:<10} {:<10} {:<10} {:<10}\n  -> RemoteAddress:Port\n".format(
        "Prot LocalAddress:Port", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
    ),
    "persistent-conn": "{:<33} {:<9} {:<11} {:<10} {:<10}\n  -> RemoteAddress:Port\n".format(
        "Prot LocalAddress:Port", "Weight", "PersistConn", "ActiveConn", "InActConn"
    ),
}
_OPTIONS: Final[Mapping[int, str]] = {TCP: "-t", UDP: "-u"}
_ALL_BITS: Final = 32


def render(ipvs: Ipvs, services: Iterable[VirtualService], form: str, *, exact: bool, is_sorted: bool) -> str:
    """Return a listing of virtual services.

    Args:
        ipvs: what was counted.
        services: what to list.
        form: empty, `stats`, `thresholds` or `persistent-conn`.
        exact: numbers are written in full.
        is_sorted: by address and port.
    """
    lines: list[str] = []
    for service in sorted(services, key=_order) if is_sorted else services:
        lines.append(_service_line(ipvs, service, form, exact=exact))
        destinations = service.destinations
        for each in sorted(destinations, key=lambda each: each.key) if is_sorted else destinations:
            load = ipvs.known_load(service.key, each.key) or Load()
            lines.append(f"  -> {str(each.key)[:28]:<28}{_row(each, load, form, exact=exact)}")
    return VERSION + _TITLES[form] + "".join(f"{line}\n" for line in lines)


def _order(service: VirtualService) -> tuple[int, ...]:
    key = service.key
    return key.mark, key.protocol, int(key.address), key.port


def _name(service: VirtualService) -> str:
    key = service.key
    if key.mark:
        return f"FWM  {key.mark}"
    return f"{PROTOCOLS[key.protocol]}  {key.address}:{key.port}"


def _service_line(ipvs: Ipvs, service: VirtualService, form: str, *, exact: bool) -> str:
    if form == "stats":
        usage = ipvs.known_usage(service.key) or Usage()
        return f"{_name(service):<33}{_counts(usage.stats, exact=exact)}"
    words = [_name(service), service.scheduler]
    if service.persistence:
        words.append(f"persistent {service.persistence}")
        if service.prefix != _ALL_BITS:
            words.append(f"mask {_mask(service.prefix)}")
    if service.flags:
        words.append(f"({','.join(sorted(service.flags))})")
    return " ".join(words)


def _mask(prefix: int) -> IpAddress:
    return IpAddress(((1 << _ALL_BITS) - (1 << _ALL_BITS - prefix)).to_bytes(4, "big"))


def _row(each: Destination, load: Load, form: str, *, exact: bool) -> str:
    if form == "stats":
        return _counts(load.stats, exact=exact)
    if form == "thresholds":
        return f" {each.upper:<10} {each.lower:<10} {load.active:<10} {load.inactive:<10}"
    if form == "persistent-conn":
        return f" {each.weight:<9} {load.persistent:<11} {load.active:<10} {load.inactive:<10}"
    return f" {'Masq':<7} {each.weight:<6} {load.active:<10} {load.inactive:<10}"


def _counts(stats: Stats, *, exact: bool) -> str:
    numbers = (stats.connections, stats.packets_in, stats.packets_out, stats.octets_in, stats.octets_out)
    return "".join(_large(number, exact=exact) for number in numbers)


def _large(number: int, *, exact: bool) -> str:
    """Return a number in nine columns. Source: `print_largenum`."""
    if exact:
        return f"{number:>{max(9, len(str(number)) + 1)}}"
    if number < 100_000_000:
        return f"{number:>9}"
    for limit, unit, letter in ((10**11, 1000, "K"), (10**14, 10**6, "M"), (10**17, 10**9, "G")):
        if number < limit:
            return f"{number // unit:>8}{letter}"
    return f"{number // 10**12:>8}T"


def save(services: Iterable[VirtualService]) -> str:
    """Return what `ipvsadm -S` writes: a command on each line."""
    return "".join(f"{line}\n" for service in sorted(services, key=_order) for line in _commands(service))


def _commands(service: VirtualService) -> Iterator[str]:
    key = service.key
    place = f"-f {key.mark}"
    if not key.mark:
        place = f"{_OPTIONS.get(key.protocol, '--sctp-service')} {key.address}:{key.port}"
    words = [f"-A {place} -s {service.scheduler}"]
    if service.persistence:
        words.append(f"-p {service.persistence}")
        if service.prefix != _ALL_BITS:
            words.append(f"-M {_mask(service.prefix)}")
    if service.flags:
        words.append(f"-b {','.join(sorted(service.flags))}")
    yield " ".join(words)
    for each in sorted(service.destinations, key=lambda each: each.key):
        limits = f" -x {each.upper} -y {each.lower}" if each.upper or each.lower else ""
        yield f"-a {place} -r {each.key} -m -w {each.weight}{limits}"


def connections(entries: Iterable[Connection], now: Instant) -> str:
    """Return what `ipvsadm -Lnc` prints of connections and of clients that stay."""
    title = f"pro expire {'state':<11} {'source':<18} {'virtual':<18} destination\n"
    return "IPVS connection entries\n" + title + "".join(f"{_entry(each, now)}\n" for each in entries)


def _entry(entry: Connection, now: Instant) -> str:
    ends = entry.ends
    minutes, seconds = divmod(max(0, entry.expires - now) // SECOND, 60)
    source = f"{IpAddress(ends.src)}:{ends.sport}"
    virtual = f"{IpAddress(ends.dst)}:{ends.dport}"
    target = f"{entry.destination.address}:{entry.port}"
    left = f"{PROTOCOLS.get(ends.protocol, 'IP'):<3} {minutes:02}:{seconds:02}"
    return f"{left}  {entry.state.value:<11} {source:<18} {virtual:<18} {target}"
