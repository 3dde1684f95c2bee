# SPDX-License-Identifier: GPL-2.0-only
"""Packets that overtake each other: keep questions apart, and have ports drawn."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects.pod import DnsConfig, DnsOption
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.readiness import owner_of, spec_of, with_spec
from emu.verify.fixes.remedy import Change, Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_DRAWN: Final = "--random-fully"
_APPEND: Final = ["-A", "POSTROUTING"]  # of other chains daemons write the rules, anew whenever they change
_REOPEN: Final = "single-request-reopen"
_BY_TCP: Final = "use-vc"
_CURES: Final = {
    _REOPEN: "have the resolver ask for A, then for AAAA, by a socket each",
    _BY_TCP: "have the resolver ask by TCP",
}


def ask_in_turn(case: Case) -> Iterator[Proposal]:
    """Give who looks names up an option that keeps its two questions apart."""
    source = case.verdict.source.namespace
    pod = case.pod_in(source) if case.cluster is not None and case.verdict.target.name else None
    if pod is None:
        return
    owner = owner_of(case, pod)
    spec = spec_of(owner)
    settings = spec.dns_config or DnsConfig()
    for option, words in _CURES.items():
        changed = attrs.evolve(settings, options=(*settings.options, DnsOption(option)))
        yield Proposal(words, (Change(owner, with_spec(owner, attrs.evolve(spec, dns_config=changed))),))


def draw_the_ports(case: Case) -> Iterator[Proposal]:
    """Have a rule that somebody has written draw ports, and not keep those that are free."""
    try:
        words = shlex.split(case.cause.rule)
    except ValueError:
        return  # a rule of nftables, which iptables has not written
    if words[:2] != _APPEND or "MASQUERADE" not in words or _DRAWN in words:
        return
    why = f"have NAT on {case.cause.net} draw the ports, so that two connections do not get one"
    argv = ("iptables", "-t", "nat", "-I", *words[1:], _DRAWN)
    yield Proposal(why, (Command(case.host(case.cause.net), argv),))
