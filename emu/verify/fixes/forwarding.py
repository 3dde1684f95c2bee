# SPDX-License-Identifier: GPL-2.0-only
"""Settings that keep a host from passing packets on: commands that change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.link.bridge import Bridge
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.verify.fixes.case import Case

_CALL_IPTABLES: Final = "net.bridge.bridge-nf-call-iptables"
_LOOSE: Final = 2


def set_sysctl(case: Case, net: str, name: str, value: int) -> Command:
    """Return the command that sets a kernel setting in a network namespace."""
    return Command(case.host(net), ("sysctl", "-w", f"{name}={value}"))


def forward_packets(case: Case) -> Iterator[Proposal]:
    """Let the host forward."""
    net = case.cause.net
    words = f"{net} passes no packets on: switch forwarding on"
    yield Proposal(words, (set_sysctl(case, net, "net.ipv4.ip_forward", 1),))


def accept_by_policy(case: Case) -> Iterator[Proposal]:
    """Let pass what no rule of FORWARD speaks of."""
    net = case.cause.net
    words = f"the policy of FORWARD on {net} drops what no rule accepts: accept it"
    for program in ("iptables", "iptables-legacy"):
        yield Proposal(words, (Command(case.host(net), (program, "-P", "FORWARD", "ACCEPT")),))


def check_paths_loosely(case: Case) -> Iterator[Proposal]:
    """Accept what comes by another device than the one its answer would take."""
    cause = case.cause
    if not cause.device:
        return
    device = f"net.ipv4.conf.{cause.device}.rp_filter"
    loose = f"{cause.net} expects this source on another device than {cause.device}: check loosely"
    yield Proposal(loose, (set_sysctl(case, cause.net, device, _LOOSE),))
    off = f"{cause.net} has no route to this source: check no sources on {cause.device}"
    every = set_sysctl(case, cause.net, "net.ipv4.conf.all.rp_filter", 0)
    yield Proposal(off, (every, set_sysctl(case, cause.net, device, 0)))


def translate_on_bridges(case: Case) -> Iterator[Proposal]:
    """Show netfilter what a bridge passes from port to port, so that answers are translated back."""
    nets = [case.network.fabric.namespaces.get(name) for name in case.passed]
    silent = [net for net in nets if net is not None and _bridges_past_netfilter(net)]
    if silent:
        names = ", ".join(net.name for net in silent)
        words = (
            f"the bridge on {names} passes the answer by without netfilter, "
            "which would translate its source back: have bridged packets pass iptables"
        )
        yield Proposal(words, tuple(set_sysctl(case, net.name, _CALL_IPTABLES, 1) for net in silent))


def _bridges_past_netfilter(net: Namespace) -> bool:
    has_bridge = any(isinstance(device.link, Bridge) for device in net.devices.values())
    return has_bridge and not net.sysctl.number(_CALL_IPTABLES)


def send_with_a_usual_ttl(case: Case) -> Iterator[Proposal]:
    """Let packets live as long as they usually do."""
    source = case.verdict.source.namespace
    net = case.network.fabric.namespaces.get(source)
    if net is not None and net.sysctl.number("net.ipv4.ip_default_ttl") < 64:
        words = f"{source} sends with a TTL of {net.sysctl.number('net.ipv4.ip_default_ttl')}: raise it"
        yield Proposal(words, (set_sysctl(case, source, "net.ipv4.ip_default_ttl", 64),))
