# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own reason for the end of a packet: what holds if nothing more specific is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.codes import BY_DETAIL
from emu.kernel.drops import DropReason
from emu.kernel.facts import REFUSED_BY_IPVS, Spent
from emu.kernel.netfilter.hooks import Hook
from emu.observe.recording import Kind
from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import (
    CODES,
    CT_TABLE_FULL,
    FORWARD_POLICY_DROP,
    IP_FORWARD_OFF,
    TTL_EXPIRED,
)
from emu.verify.causes.objects import origin_of
from emu.verify.causes.rules import isolated_pod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.verify.causes.scene import Scene

FIXES: Final[Mapping[str, str]] = {
    IP_FORWARD_OFF: "sysctl -w net.ipv4.ip_forward=1 in {net}",
    "IP_INNOROUTES": "ask `ip route get {dst}` in {net}, and give it a route that leads there",
    "IP_OUTNOROUTES": "ask `ip route get {dst}` in {net}, and give it a route that leads there",
    "IP_RPFILTER": "give {net} a route back to {src} by {device}, or set rp_filter to 2 (loose) or 0",
    "NO_SOCKET": "have a program in {net} listen there",
    "PKT_TOO_BIG": "let the MTUs on the way agree, or let the ICMP error reach the sender",
    TTL_EXPIRED: "look for a routing loop: which hops does the packet pass twice?",
    FORWARD_POLICY_DROP: "accept it by a rule of filter/FORWARD in {net}, or `iptables -P FORWARD ACCEPT`",
    CT_TABLE_FULL: "raise net.netfilter.nf_conntrack_max on the machine of {net}",
}
"""What helps, by code."""

_NEW: Final = "NEW"
_KUBE_FORWARD: Final = "-j KUBE-FORWARD"
_NEITHER: Final = (
    ": kube-proxy's KUBE-FORWARD accepts what has its mark and what belongs to a connection, and this is "
    "neither"
)
_GONE_ASTRAY: Final = frozenset((TTL_EXPIRED, "IP_RPFILTER", "IP_LOCAL_SOURCE"))
"""How packets end that nobody waits for: sent to and fro, or back to where they came from."""

_SYSCTLS: Final = {
    IP_FORWARD_OFF: "net.ipv4.ip_forward",
    CT_TABLE_FULL: "net.netfilter.nf_conntrack_max",
    "IP_RPFILTER": "net.ipv4.conf.{device}.rp_filter",
}


def cause_of(scene: Scene) -> Cause:
    """Return why the packet of `scene` ended, in the words of the kernel where it did."""
    code, words = _code(scene)
    place = {"net": scene.end.net, "device": scene.device, "src": scene.there.src, "dst": scene.there.dst}
    fix = FIXES.get(code, "").format(**place)
    rule = scene.decision.rule if scene.end.reason is DropReason.NETFILTER_DROP and scene.decision else ""
    whose, field = _whose(scene, code)
    return Cause(code, words, scene.way, scene.end.net, scene.device, fix, whose, field, rule)


def _whose(scene: Scene, code: str) -> tuple[str, str]:
    """Return the object that is to blame, and the field in it or the setting of the node."""
    decision = scene.decision
    if decision is not None and decision.rule and scene.end.reason is DropReason.NETFILTER_DROP:
        if isolated_pod(decision.rule) is not None:
            return "", ""  # `policy` knows more
        origin = origin_of(scene.network, decision)
        return ("", "") if origin is None else (origin.object, origin.field)
    setting = _SYSCTLS.get(code, "").format(device=scene.device)
    _, node = scene.network.owners(scene.end.net)
    return (
        (f"Node {node}", setting)
        if node is not None and (setting or code == FORWARD_POLICY_DROP)
        else ("", "")
    )


def _code(scene: Scene) -> tuple[str, str]:
    """Return the code for the end of a packet, and what happened in words.

    One that vanished without a drop (it waits still, or a device swallowed it)
    gets the reason that fits where it was seen last.
    """
    step = scene.end
    if step.kind is not Kind.DROP:
        code = DropReason.NEIGH_FAILED if step.stage == "neighbour" else DropReason.NOT_SPECIFIED
        last = f"{step.stage}: {step.detail}" if step.stage else f"passing {step.device}"
        return code.name, f"it is not seen again after {last}"
    assert step.reason is not None, "a drop has a reason"
    code_name = step.reason.name
    if step.reason is DropReason.NETFILTER_DROP:
        return _netfilter(scene)
    if step.reason is DropReason.IP_INADDRERRORS:
        code_name = IP_FORWARD_OFF
    elif isinstance(step.fact, Spent):
        code_name = TTL_EXPIRED
    words = step.detail or CODES[code_name]
    if code_name in _GONE_ASTRAY and scene.store is not None and not scene.owners(scene.there.dst):
        words += f"; no pod, node or host has {scene.there.dst}"
    return code_name, words


def _netfilter(scene: Scene) -> tuple[str, str]:
    """Return the code for what netfilter dropped, and the rule that did it."""
    step, decided = scene.end, scene.decision
    for beginning, code in BY_DETAIL.items():
        if step.detail.startswith(beginning):
            return code, step.detail
    if decided is None or decided.chain is None or isinstance(step.fact, REFUSED_BY_IPVS):
        return DropReason.NETFILTER_DROP.name, step.detail
    is_policy = not decided.rule and decided.chain[1] == Hook.FORWARD.name
    words = f"{decided.stage} {decided.detail}"
    if not is_policy:
        return DropReason.NETFILTER_DROP.name, words
    words += "; no rule of the chain accepts the packet"
    is_asked = any(one.net == step.net and _KUBE_FORWARD in one.rule for one in scene.steps)
    return FORWARD_POLICY_DROP, words + (_NEITHER if is_asked and decided.conntrack == _NEW else "")
