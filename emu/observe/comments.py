# SPDX-License-Identifier: GPL-2.0-only
"""What was decided about a packet, as a comment on its frame in a capture: one line, to be searched.

    emu hop=7 ns=node/worker-1 hook=nat/KUBE-SEP-LQ6G rule="-A KUBE-SEP-LQ6G ..." obj=svc/shop/redis ct=NEW
    emu hop=8 ns=node/worker-1 hook=nat dst=10.96.0.20:6379>10.244.2.7:6379 obj=svc/shop/redis ct=NEW
    DROP NETPOL_INGRESS kernel=NETFILTER_DROP hop=19 ns=node/worker-2 obj=netpol/shop/deny why="..."

The keys, always in this order, left out where there is
nothing to say:

    hop     which step of this copy of the packet it was, from 1
    ns      the namespace
    hook    the stage; within a table `TABLE/CHAIN`
    rule    the text of the rule that held, its double quotes made single
    dst,src what NAT rewrote, OLD>NEW
    obj     whose doing it was: svc/NS/NAME, netpol/NS/NAME, pod/NS/NAME, node/NAME, kube-proxy
    ct      what the packet is to its connection
    why     the decision in words

A packet that ended begins with `DROP` and the reason code; `kernel` is the
kernel's own name for it, if that is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from emu.kernel.facts import Translated

if TYPE_CHECKING:
    from emu.observe.recording import Step

_KINDS: Final = {
    "Service": "svc",
    "NetworkPolicy": "netpol",
    "Pod": "pod",
    "Node": "node",
    "Namespace": "ns",
}
_UNFIT: Final = dict.fromkeys(range(32), " ") | {
    34: "'",
    127: " ",
}  # control characters, the double quote


class Explainer(Protocol):
    """Who knows whose doing a step was, and why packets end."""

    def hear(self, step: Step) -> None:
        """Take note of `step`, each before it is asked about."""

    def object(self, step: Step) -> str:
        """Return the object that a step is owed to, as `KIND NS/NAME`; empty if it is nobody's."""

    def code(self, step: Step) -> str:
        """Return the reason code for a packet that ended with `step`, empty if the kernel's own says all."""


def remark(step: Step, hop: int, whose: str) -> str:
    """Return the comment about a decision.

    Args:
        step: the decision.
        hop: which step of the packet it was.
        whose: the object that it is owed to as `KIND NS/NAME`, empty for nobody's.
    """
    words = f"emu hop={hop} ns={step.net} hook={step.stage.replace(' ', '-')}"
    why = step.detail
    if step.rule:
        words += f" rule={quoted(step.rule)}"
        why = why.removesuffix(step.rule).rstrip(": ")
    elif isinstance(step.fact, Translated) and step.fact.before is not None:
        side = "src" if step.fact.is_source else "dst"
        words, why = f"{words} {side}={step.fact.before}>{step.fact.after}", ""
    if whose:
        words += f" obj={notation(whose)}"
    if step.conntrack:
        words += f" ct={step.conntrack}"
    return f"{words} why={quoted(why)}" if why else words


def ending(step: Step, hop: int, whose: str, code: str) -> str:
    """Return the comment about a packet's end.

    Args:
        step: the drop.
        hop: which step of the packet it was.
        whose: the object that it is owed to as `KIND NS/NAME`, empty for nobody's.
        code: the reason code, empty if the kernel's own says it all.
    """
    kernel = "" if step.reason is None else step.reason.name
    words = f"DROP {code or kernel}"
    if code and code != kernel:
        words += f" kernel={kernel}"
    words += f" hop={hop} ns={step.net}"
    if whose:
        words += f" obj={notation(whose)}"
    return f"{words} why={quoted(step.detail)}" if step.detail else words


def quoted(text: str) -> str:
    """Return `text` in double quotes, on one line."""
    return f'"{text.translate(_UNFIT)}"'


def notation(whose: str) -> str:
    """Return an object as end points are written: `Service shop/redis` is `svc/shop/redis`."""
    kind, blank, name = whose.partition(" ")
    return f"{_KINDS.get(kind, kind.lower())}/{name}".replace(" ", "-") if blank else kind
