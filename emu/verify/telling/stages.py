# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a packet, condensed: what decided stays, each with whose doing it was.

A packet visits one namespace after the other. Of a visit is told

    route, vxlan       where it is sent
    nat                what was rewritten, by which rule, for which object
    a table            where a rule ended the packet, or a policy let it pass
    a bridge           if nothing but the bridge had it in hands
    conntrack          INVALID; other states stand behind the first decision
    socket, echo       who takes it
    DROP               the end

Hooks that have nothing to say, the TTL, learned MAC addresses and rules without
effect are left out; ARP is a note beside the row that had to wait for it.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.drops import DropReason
from emu.kernel.facts import (
    REFUSED_BY_IPVS,
    Awaited,
    DecidedAt,
    Invalid,
    Overtaken,
    Resolved,
    Routed,
    Scheduled,
    Switched,
    Translated,
)
from emu.kernel.route import RouteType
from emu.kube.proxy.nft.ports import MARK
from emu.observe.recording import Kind
from emu.verify.causes import nft
from emu.verify.story import Way, decisive_hops

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from emu.observe.recording import Step
    from emu.verify.causes.origin import Origin
    from emu.verify.story import Hop, Packet, Story
    from emu.verify.telling.places import Places
    from emu.verify.verdict import Outcome
    from emu.wire.addresses import IpAddress

_COMMENT: Final = re.compile(r' -m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+)| comment "(?:[^"\\]|\\.)*"')
_TARGET: Final = re.compile(r" -j (\S+)")
_FOLDED: Final = frozenset(
    ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "forward", "fdb", "bridge", "reject")
)
_ALLOWING: Final = frozenset(("ACCEPT", "RETURN", "MARK"))
_COPY: Final = "a copy for"  # a raw socket: the packet goes on
_TO_SOCKETS: Final = "is for sockets only"
_MEANING: Final = {"TCP ESTAB": ": connected", "TCP UNCONN": ": refused"}  # of a reply, to the client
_NO_ROUTE: Final = "no route"
_MARKING: Final = "KUBE-MARK-MASQ"
_BEFORE: Final = ("nat-prerouting", "nat-output")
_PAST: Final = "past netfilter: net.bridge.bridge-nf-call-iptables=0"


class Row(NamedTuple):
    """What was decided at a stage.

    Attributes:
        net: the namespace.
        what: the decision.
        change: the end that was rewritten, `> 10.0.0.1:80` or `10.0.0.1:80 >`; empty if none was.
        notes: whose doing it was, by which rule, what had to be found out for it.
    """

    net: str
    what: str
    change: str = ""
    notes: tuple[str, ...] = ()


def rows(outcome: Outcome, packet: Packet, way: Way, places: Places) -> list[Row]:
    """Return what was decided about a packet that matters, on its half of the way."""
    odds = {taken.question: str(taken.probability) for taken in outcome.choices}
    filtered = _filtered(outcome.story)
    found: list[Row] = []
    for net, visit in groupby(decisive_hops(packet, way), key=lambda hop: hop.told.step.net):
        found += _Visit(net, way, places, odds, is_filtered=net in filtered).rows(list(visit))
    if (row := _vanished(packet)) is not None:
        found.append(row)
    cause, last_packet = outcome.cause, outcome.story.packets()[-1][0]
    is_end = packet is last_packet or not packet.is_accepted
    if found and cause is not None and cause.way is way and is_end and found[-1].net == cause.net:
        last = found[-1]
        is_said = any(cause.code in words.split() for words in (last.what.replace(":", " "), *last.notes))
        found[-1] = last if is_said else last._replace(notes=(*last.notes, cause.code))
    return found


def _filtered(story: Story) -> Container[str]:
    """Return the namespaces where netfilter met one of the packets."""
    return {
        one.step.net
        for packet, _ in story.packets()
        for one in packet.line
        if one.step.chain is not None or one.step.stage == "conntrack"
    }


def _vanished(packet: Packet) -> Row | None:
    """Return a row for a packet that nobody dropped and nobody took."""
    step = packet.end.step
    if packet.is_accepted or step.kind is Kind.DROP:
        return None
    fact = step.fact
    what = f"ARP who-has {fact.address}: no answer" if isinstance(fact, Awaited) else "not seen again"
    return Row(step.net, what)


class _Visit:
    """The rows of a packet's stay in one namespace."""

    def __init__(
        self, net: str, way: Way, places: Places, odds: Mapping[str, str], *, is_filtered: bool
    ) -> None:
        self._net = net
        self._is_reply = way is Way.REPLY
        self._places = places
        self._odds = odds
        self._is_filtered = is_filtered
        self._rows: list[Row] = []
        self._state = ""
        self._asked: IpAddress | None = None

    def rows(self, hops: Sequence[Hop]) -> list[Row]:
        at = 0
        while at < len(hops):
            until = at
            while until < len(hops) and hops[until].told.step.chain is not None:
                until += 1
                if not hops[until - 1].told.step.rule:
                    break  # the policy: the next step is in another table
            if until == at:
                self._step(hops[at])
                at += 1
                continue
            passed = [hop.told.step for hop in hops[at:until]]
            then = hops[until] if until < len(hops) else None
            for table in _by_table(passed[:-1], passed[-1]):
                at += len(table)
                is_last = table[-1] is passed[-1]
                at += self._table(table, then if is_last else None)
        self._bridged([hop.told.step for hop in hops])
        return self._rows

    # --- a table ---

    def _table(self, steps: Sequence[Step], then: Hop | None) -> int:
        """Tell what a table did; return 1 if `then` is told by that, else 0."""
        label, last = steps[0].stage, steps[-1]
        if then is not None and then.told.step.stage == "nat":
            self._translated(then, label, steps)
            return 1
        if then is not None and _is_dropped_by_rules(then.told.step):
            self._ended(then.told.step, label, last)
            return 1
        for step in steps:
            if "NetworkPolicy " in step.rule:
                target = _TARGET.search(step.rule)
                what = f"{label} {'allowed' if target and target[1] in _ALLOWING else 'matched'}"
                self._add(step, what, notes=(*_words(self._places.origin(step)), _place(step)))
        return 0

    def _translated(self, hop: Hop, label: str, steps: Sequence[Step]) -> None:
        step, rule = hop.told.step, steps[-1]
        if not rule.rule:  # no rule: the connection is translated since its first packet
            self._retranslated(hop)
            return
        what = "SNAT" if isinstance(step.fact, Translated) and step.fact.is_source else "DNAT"
        if "MASQUERADE" in rule.rule or "masquerade" in rule.rule:
            what = "MASQUERADE"
        shares = [self._odds[each.chain[1]] for each in steps if each.chain and each.chain[1] in self._odds]
        chance = f" p={shares[-1]}" if shares else ""
        (whose,) = _words(self._places.origin(rule))
        if what == "DNAT" and hop.after is not None:
            owner = self._places.owner(hop.after.dst)
            if owner != str(hop.after.dst):
                whose = f"{whose} -> {owner}" if whose else f"to {owner}"
        notes = [whose, _place(rule)]
        if any(_MARKING in each.rule for each in steps):
            notes.append(f"{_MARKING}: its source is to be masqueraded")
        elif label.endswith(_BEFORE) and any(nft.marks(each.rule) for each in steps):
            notes.append(f"{MARK}: its source is to be masqueraded")
        self._add(step, f"{label} {what}{chance}", _change(step), tuple(notes))

    def _retranslated(self, hop: Hop) -> None:
        step = hop.told.step
        what = "translated back" if self._is_reply else "translated"
        self._add(step, f"conntrack {what}", _change(step))

    def _ended(self, drop: Step, label: str, last: Step) -> None:
        reason = "" if drop.reason is None else f" ({drop.reason.name})"
        if not last.rule:
            self._add(last, f"{label} {last.detail}{reason}", notes=("no rule accepts it",))
            return
        target = _TARGET.search(last.rule)
        what = target[1] if target else _COMMENT.sub("", last.rule).rsplit(" ", 1)[-1]
        notes = (*_words(self._places.origin(last)), _place(last), _COMMENT.sub("", last.rule))
        self._add(last, f"{label} {what}{reason}", notes=notes)

    # --- one step ---

    def _step(self, hop: Hop) -> None:
        step = hop.told.step
        if step.kind is Kind.DROP:
            self._dropped(hop)
        if step.kind is not Kind.NOTE or step.stage in _FOLDED:
            return
        match step.stage:
            case "conntrack":
                if isinstance(step.fact, Invalid | Overtaken):
                    self._add(step, f"conntrack {step.detail}")
            case "ipvs" | "nat":
                (self._balanced if step.stage == "ipvs" else self._retranslated)(hop)
            case "route":
                if not (isinstance(step.fact, Routed) and step.fact.kind is RouteType.LOCAL):
                    self._add(step, f"route {step.detail}")
            case "neighbour":
                self._neighbour(step)
            case "socket":
                if not step.detail.startswith(_COPY):
                    state, _, _ = step.detail.partition(", port")
                    self._add(step, f"{step.detail}{_MEANING.get(state, '') if self._is_reply else ''}")
            case "icmp" if step.detail.endswith(_TO_SOCKETS):
                self._add(step, "a raw ICMP socket takes it")
            case stage:
                self._add(step, f"{stage} {step.detail}".rstrip())

    def _balanced(self, hop: Hop) -> None:
        """Tell what IPVS did: whom it picked, and what that made of the packet."""
        step = hop.told.step
        change, (whose,) = _change(step), _words(self._places.origin(step))
        if isinstance(step.fact, Scheduled):
            service, scheduler, destination = step.fact
            chance = self._odds.get(f"IPVS {service} {scheduler}")
            self._add(
                step, f"ipvs {scheduler}{f' p={chance}' if chance else ''}", f"> {destination}", (whose,)
            )
        elif not change:
            self._add(step, f"ipvs {step.detail}", notes=(whose,))
        elif self._rows and self._rows[-1].change == change and self._rows[-1].what.startswith("ipvs "):
            owner = "" if hop.after is None else self._places.owner(hop.after.dst)
            last = self._rows[-1]
            if last.notes and hop.after is not None and owner != str(hop.after.dst):
                self._rows[-1] = last._replace(notes=(f"{last.notes[0]} -> {owner}", *last.notes[1:]))
        else:
            what = "translated back" if self._is_reply else "translated"
            self._add(step, f"ipvs {what}", change, (whose,))

    def _dropped(self, hop: Hop) -> None:
        step = hop.told.step
        reason = "" if step.reason is None else step.reason.name
        detail = f": {step.detail}" if step.detail else ""
        if step.detail == _NO_ROUTE and hop.after is not None:
            detail += f" to {hop.after.dst}"
        self._add(step, f"DROP {reason}{detail}")

    def _neighbour(self, step: Step) -> None:
        fact = step.fact
        if isinstance(fact, Awaited):
            self._asked = fact.address
        elif isinstance(fact, Resolved) and fact.address == self._asked and self._rows:
            last = self._rows[-1]
            self._rows[-1] = last._replace(notes=(*last.notes, f"ARP {fact.address} is-at {fact.mac}"))

    def _bridged(self, steps: Sequence[Step]) -> None:
        """Tell of a bridge, if nothing else in this namespace sent the packet anywhere."""
        notes = [step.fact for step in steps if isinstance(step.fact, Switched)]
        taps = [step for step in steps if step.kind in {Kind.IN, Kind.OUT}]
        is_sent = any(step.stage in {"route", "vxlan", "ipip"} for step in steps)
        is_ended = any(step.kind is Kind.DROP for step in steps)
        if is_sent or is_ended or not notes or taps[-1].kind is not Kind.OUT:
            return
        switched = notes[-1]
        flooded = " (flooded)" if switched.is_flooded else ""
        what = f"{switched.bridge} switches it, {taps[0].device} to {taps[-1].device}{flooded}"
        was_called = any(step.chain is not None or step.stage == "conntrack" for step in steps)
        is_past = self._is_filtered and not was_called
        self._rows.append(Row(self._net, what, notes=(_PAST,) if is_past else ()))

    def _add(self, step: Step, what: str, change: str = "", notes: tuple[str, ...] = ()) -> None:
        if step.conntrack and step.conntrack != self._state:
            self._state = step.conntrack
            what += f" ct={step.conntrack}" if step.stage != "conntrack" else ""
        self._rows.append(Row(self._net, what, change, tuple(note for note in notes if note)))


def _by_table(steps: Sequence[Step], last: Step) -> Iterator[list[Step]]:
    """Yield the steps in one table after the other."""
    for _, group in groupby((*steps, last), key=lambda step: step.chain and step.chain[0]):
        yield list(group)


def _is_dropped_by_rules(step: Step) -> bool:
    """Return whether a packet ended by rules, and not by what stands beside them at a hook."""
    return step.reason is DropReason.NETFILTER_DROP and not isinstance(step.fact, REFUSED_BY_IPVS)


def _words(origin: Origin | None) -> tuple[str]:
    return ("",) if origin is None else (f"{origin.object} {origin.field}".rstrip(),)


def _place(step: Step) -> str:
    """Return which rule it was, as in `rule 2 of KUBE-SEP-...`."""
    return f"rule {step.fact.rule} of {step.fact.chain}" if isinstance(step.fact, DecidedAt) else ""


def _change(step: Step) -> str:
    """Return the end that NAT put into a packet."""
    if not isinstance(step.fact, Translated):
        return ""
    return f"{step.fact.after} >" if step.fact.is_source else f"> {step.fact.after}"
