# SPDX-License-Identifier: GPL-2.0-only
"""Namespaces of the real kernel, and a network document built in some, as the format lays down."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import HealthCheck, Phase, settings

from emu.cluster.network.build import BASE_NEIGHBOUR, BASE_SYSCTLS
from emu.kernel.sysctl import path
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.cluster.network.model import (
        BridgeSpec,
        EndSpec,
        LinkSpec,
        NetworkDocument,
        RouteSpec,
        VxlanSpec,
    )

_NUMBERS: Final = itertools.count()
_SETTINGS: Final = Path("/etc/netns")
"""Where `ip netns exec` finds what stands in for the files of /etc, by namespace."""

_RESOLVER: Final = "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n"
"""Nobody answers there, and that at once: tools that look for names do not wait."""
_NEW_NETWORK: Final = 0x40000000


@contextmanager
def namespace(name: str = "") -> Iterator[str]:
    """Make a network namespace, and take it away in the end.

    Args:
        name: what it is called on this machine; empty for a name that no other has.
    """
    name = name or f"emu{os.getpid()}x{next(_NUMBERS)}"
    settings = _SETTINGS / name
    settings.mkdir(parents=True)
    try:
        (settings / "resolv.conf").write_text(_RESOLVER, encoding="ascii")
        subprocess.run(["ip", "netns", "add", name], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        shutil.rmtree(settings, ignore_errors=True)


def run(netns: str, *argv: str, text: str | None = None) -> str:
    """Run a tool in a namespace of the real kernel, and return what it prints; `text` is its input."""
    command = ["ip", "netns", "exec", netns, *argv]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text or ''}"
    return done.stdout


def drawn(examples: int) -> settings:
    """Return how often Linux is asked about what is drawn: the same in every run, and nothing is kept."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Let this thread, and no other one, be in a network namespace while the block runs."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as here, Path(f"/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), _NEW_NETWORK) == 0
        try:
            yield
        finally:
            assert libc.setns(here.fileno(), _NEW_NETWORK) == 0


@attrs.frozen
class LinuxLab:
    """Namespaces of this machine, by the document's names."""

    prefix: str

    def netns(self, name: str) -> str:
        """Return what namespace `name` is called on this machine."""
        return f"{self.prefix}-{name}"

    def ask(self, name: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in namespace `name`."""
        command = ["ip", "netns", "exec", self.netns(name), *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def do(self, name: str, *argv: object) -> None:
        """Run a command that must not fail in namespace `name`."""
        done = self.ask(name, [str(word) for word in argv])
        assert done.returncode == 0, f"{name}: {argv}: {done.stderr}"


@contextmanager
def built(document: NetworkDocument) -> Iterator[LinuxLab]:
    """Build `document`, and take it away in the end."""
    lab = LinuxLab(f"emulab{os.getpid()}x{next(_NUMBERS)}")
    with ExitStack() as stack:
        for spec in document.namespaces:
            stack.enter_context(namespace(lab.netns(spec.name)))
        _build(lab, document)
        yield lab


def _build(lab: LinuxLab, document: NetworkDocument) -> None:
    for spec in document.namespaces:
        _set(lab, spec.name, BASE_SYSCTLS)
        _set(lab, spec.name, {sysctl.name: sysctl.value for sysctl in spec.sysctls})
        lab.do(spec.name, "ip", "link", "set", "lo", "up")
    for link in document.links:
        _link(lab, link)
    for bridge in document.bridges:
        _bridge(lab, bridge)
    ends = [end for link in document.links for end in link.ends]
    _configure(lab, [*ends, *document.bridges])
    for vxlan in document.vxlans:
        _vxlan(lab, vxlan)
    _configure(lab, document.vxlans)
    for vxlan in document.vxlans:
        for entry in vxlan.fdb:
            lab.do(vxlan.ns, "bridge", "fdb", "append", entry.mac, "dev", vxlan.iface, "dst", entry.dst)
    for spec in document.namespaces:
        _set(lab, spec.name, {sysctl.name: sysctl.value for sysctl in spec.if_sysctls})
    for one in document.neighbours:
        words = ("lladdr", one.mac, "dev", one.dev, "nud", one.state)
        lab.do(one.ns, "ip", "neigh", "replace", one.ip, *words)
    for route in document.routes:
        lab.do(route.ns, "ip", "route", "add", *_route(route))


def _set(lab: LinuxLab, name: str, sysctls: Mapping[str, object]) -> None:
    with inside(lab.netns(name)):
        for key, value in sysctls.items():
            Path("/proc/sys", path(key)).write_text(str(value), encoding="ascii")


def _link(lab: LinuxLab, link: LinkSpec) -> None:
    a, b = link.ends
    peer = ("peer", "name", b.iface, "address", b.mac, "netns", lab.netns(b.ns))
    lab.do(a.ns, "ip", "link", "add", a.iface, "address", a.mac, "type", "veth", *peer)


def _bridge(lab: LinuxLab, spec: BridgeSpec) -> None:
    kind = ("type", "bridge", "stp_state", 0, "forward_delay", 0, "mcast_snooping", 0)
    age = spec.ageing * 100 // SECOND
    lab.do(spec.ns, "ip", "link", "add", spec.iface, "address", spec.mac, *kind, "ageing_time", age)
    for port in spec.ports:
        lab.do(spec.ns, "ip", "link", "set", port.iface, "master", spec.iface)
        switches = {
            "hairpin": port.hairpin,
            "learning": port.learning,
            "flood": port.flood,
            "isolated": port.isolated,
        }
        words = itertools.chain.from_iterable((key, "on" if on else "off") for key, on in switches.items())
        lab.do(spec.ns, "bridge", "link", "set", "dev", port.iface, *words)


def _vxlan(lab: LinuxLab, spec: VxlanSpec) -> None:
    words = ["id", spec.vni, "local", spec.local, "dev", spec.dev, "dstport", spec.dstport]
    words += ["learning" if spec.learning else "nolearning", *(["ttl", spec.ttl] if spec.ttl else [])]
    words += [] if spec.udpcsum else ["noudpcsum"]
    lab.do(spec.ns, "ip", "link", "add", spec.iface, "address", spec.mac, "type", "vxlan", *words)


def _configure(lab: LinuxLab, specs: Sequence[EndSpec | BridgeSpec | VxlanSpec]) -> None:
    """Give devices what they all have, in the same order, and take them up."""
    for spec in specs:
        if spec.mtu is not None:
            lab.do(spec.ns, "ip", "link", "set", spec.iface, "mtu", spec.mtu)
        for key, value in BASE_NEIGHBOUR.items():
            _set(lab, spec.ns, {f"net/ipv4/neigh/{spec.iface}/{key}": value})
        for address in spec.addresses:
            lab.do(spec.ns, "ip", "addr", "add", address, "dev", spec.iface)
    for spec in specs:
        if spec.up:
            lab.do(spec.ns, "ip", "link", "set", spec.iface, "up")


def _route(spec: RouteSpec) -> list[object]:
    words: list[object] = [spec.type, spec.dst, "table", spec.table, "metric", spec.metric]
    for key, value in (("via", spec.via), ("dev", spec.dev), ("src", spec.src), ("mtu", spec.mtu)):
        words += [] if value is None else [key, value]
    words += ["scope", spec.scope] if spec.type in {"unicast", "local"} else []
    return words + (["onlink"] if spec.onlink else [])
