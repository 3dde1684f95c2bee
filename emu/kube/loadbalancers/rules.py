# SPDX-License-Identifier: GPL-2.0-only
"""What a balancer tells its kernel: a table of nftables, as text that `nft -f` takes.

Of a connection the first packet draws a node; what follows goes the same way. A
balancer that translates has connection tracking for that. One that passes
packets on as they are sees half of each connection alone, which connection
tracking would call INVALID: it keeps a map of its own, from the client's address
and port to a mark, and routing rules lead each mark to a node.

    passthrough   prerouting -> service-NAME -> to-NODE: mark -> (routing rules) -> node
    nat           prerouting -> service-NAME -> to-NODE/PROTOCOL/PORT: dnat
    proxy         input: who may come

A change leaves maps and connections alone: who was sent to a node that is
unhealthy now stays there, new connections go elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from emu.kube.loadbalancers.frontends import Frontend, Target
    from emu.kube.loadbalancers.settings import LoadBalancerSpec
    from emu.wire.addresses import Prefix

TABLE: Final = "balancer"
NO_NODE: Final = "no healthy node for"
NO_SOURCE: Final = "loadBalancerSourceRanges of"
"""How comments begin that say why a packet is dropped."""

_FLOW_SECONDS: Final = 600
_SIZE: Final = 65536


@attrs.frozen
class Ruleset:
    """The maps, base chains and chains of the table, each with what it is or holds."""

    maps: Mapping[str, str] = attrs.field(factory=dict)
    bases: Mapping[str, str] = attrs.field(factory=dict)
    chains: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


@attrs.define
class _Draft:
    maps: dict[str, str] = attrs.field(factory=dict)
    bases: dict[str, str] = attrs.field(factory=dict)
    chains: dict[str, list[str]] = attrs.field(factory=dict)

    def base(self, name: str, kind: str, hook: str, priority: str) -> None:
        self.bases[name] = f"type {kind} hook {hook} priority {priority} ; policy accept ;"
        self.chains[name] = []

    def done(self) -> Ruleset:
        return Ruleset(self.maps, self.bases, {name: tuple(rules) for name, rules in self.chains.items()})


def ruleset(  # noqa: PLR0917 - what the balancer is, what it serves, and where it stands
    spec: LoadBalancerSpec,
    frontends: Sequence[Frontend],
    healthy: Mapping[str, Collection[str]],
    marks: Mapping[str, int],
    inside: Sequence[Prefix] = (),
    segment: Prefix | None = None,
) -> Ruleset:
    """Return the table of a balancer.

    Args:
        spec: how it works.
        frontends: what it serves.
        healthy: the names of the nodes that work, by the identity of the frontend.
        marks: a number for each node, which stays the same.
        inside: where clients are whose answers would not come back this way: of `nat` they get the
            balancer's address in the place of theirs.
        segment: the balancer's own subnet: answers of nodes elsewhere would not come back either.
    """
    draft = _Draft()
    match spec.kind:
        case "passthrough":
            draft.base("prerouting", "filter", "prerouting", "mangle")
            for each in frontends:
                _pass(draft, each, _working(each, healthy), marks)
        case "nat":
            draft.base("prerouting", "nat", "prerouting", "dstnat")
            draft.base("postrouting", "nat", "postrouting", "srcnat")
            for each in frontends:
                _translate(draft, each, _working(each, healthy), marks)
            if not spec.keeps_source:
                draft.chains["postrouting"].append("ct status dnat masquerade")
            elif inside:
                known = _set([str(each) for each in inside])
                draft.chains["postrouting"].append(f"ct status dnat ip saddr {known} masquerade")
            targets = [target.address for each in frontends for target in each.targets]
            if spec.keeps_source and segment is not None and not all(each in segment for each in targets):
                draft.chains["postrouting"].append(f"ct status dnat ip daddr != {segment} masquerade")
        case "proxy":
            draft.base("input", "filter", "input", "filter")
            for each in frontends:
                draft.chains["input"] += _strangers(each, f"{_to(each)} ")
        case "l2":
            pass
    return draft.done()


def commands(before: Ruleset, wanted: Ruleset) -> str:
    """Return what makes the table `wanted` of what it was `before`; maps keep what they hold."""
    if before == wanted:
        return ""
    return "".join(f"{line}\n" for line in _lines(before, wanted))


def _lines(before: Ruleset, wanted: Ruleset) -> Iterator[str]:
    yield f"add table ip {TABLE}"
    for name, definition in wanted.maps.items():
        if before.maps.get(name) != definition:
            yield f"add map ip {TABLE} {name} {{ {definition} }}"
    for name in wanted.chains:
        if name not in before.chains:
            base = wanted.bases.get(name)
            yield f"add chain ip {TABLE} {name}" + (f" {{ {base} }}" if base else "")
    touched = [
        name for name, rules in before.chains.items() if rules and wanted.chains.get(name, ()) != rules
    ]
    for name in touched:
        yield f"flush chain ip {TABLE} {name}"
    for name, rules in wanted.chains.items():
        if before.chains.get(name, ()) != rules:
            for rule in rules:
                yield f"add rule ip {TABLE} {name} {rule}"
    for name in before.chains:
        if name not in wanted.chains:
            yield f"delete chain ip {TABLE} {name}"
    for name in before.maps:
        if name not in wanted.maps:
            yield f"delete map ip {TABLE} {name}"


def _working(frontend: Frontend, healthy: Mapping[str, Collection[str]]) -> list[Target]:
    names = healthy.get(frontend.identity, ())
    return [target for target in frontend.targets if target.node in names]


def _to(frontend: Frontend) -> str:
    return f"ip daddr {frontend.address} {frontend.protocol} dport {frontend.port}"


def _set(elements: Iterator[str] | Sequence[str]) -> str:
    return "{ " + ", ".join(elements) + " }"


def _strangers(frontend: Frontend, match: str = "") -> list[str]:
    """Return the rule that drops whom `loadBalancerSourceRanges` leaves out, if there are any."""
    sources = frontend.sources
    if not sources or any(not each.length for each in sources):
        return []
    found = _set(tuple(dict.fromkeys(map(str, sources))))
    return [f'{match}ip saddr != {found} drop comment "{NO_SOURCE} {frontend.name}"']


def _nobody(frontend: Frontend, match: str = "") -> str:
    return f'{match}drop comment "{NO_NODE} {frontend.name}"'


def _draw(targets: Sequence[str], verb: str) -> str:
    """Return the rule that draws one of some chains."""
    if len(targets) == 1:
        return f"{verb} {targets[0]}"
    cases = _set([f"{number} : {verb} {name}" for number, name in enumerate(targets)])
    return f"numgen random mod {len(targets)} vmap {cases}"


def _memory(draft: _Draft, frontend: Frontend) -> str:
    """Have a map that remembers the node of a client, or of a flow; return the key of its entries."""
    seconds = frontend.affinity or _FLOW_SECONDS
    key = "ip saddr" if frontend.affinity else f"ip saddr . {frontend.protocol} sport"
    types = "ipv4_addr" if frontend.affinity else "ipv4_addr . inet_service"
    draft.maps[_map(frontend)] = (
        f"type {types} : mark ; size {_SIZE} ; flags dynamic,timeout ; timeout {seconds}s ;"
    )
    return key


def _map(frontend: Frontend) -> str:
    return f"nodes-{frontend.identity}"


def _remembered(
    draft: _Draft, frontend: Frontend, targets: Sequence[Target], marks: Mapping[str, int]
) -> list[str]:
    """Return rules that give a packet the mark of its node, drawn for those that are not remembered."""
    key, name = _memory(draft, frontend), _map(frontend)
    for target in targets:
        draft.chains[f"to-{target.node}"] = [f"meta mark set {marks[target.node]}"]
    found = [f"meta mark set {key} map @{name}"]
    if targets and frontend.affinity:  # connections stay with a node that fails, clients do not
        known = _set([str(marks[target.node]) for target in targets])
        found.append(f"meta mark != {known} meta mark set 0")
    if targets:
        draw = _draw([f"to-{target.node}" for target in targets], "jump")
        found.append(f"meta mark 0 {draw}")
    else:
        found.append(_nobody(frontend, "meta mark 0 "))
    return [*found, f"update @{name} {{ {key} : meta mark }}"]


def _pass(draft: _Draft, frontend: Frontend, targets: Sequence[Target], marks: Mapping[str, int]) -> None:
    chain = f"service-{frontend.identity}"
    draft.chains["prerouting"].append(f"{_to(frontend)} jump {chain}")
    draft.chains[chain] = _remembered(draft, frontend, targets, marks)


def _translate(
    draft: _Draft, frontend: Frontend, targets: Sequence[Target], marks: Mapping[str, int]
) -> None:
    chain = f"service-{frontend.identity}"
    draft.chains["prerouting"].append(f"{_to(frontend)} jump {chain}")
    rules = draft.chains[chain] = _strangers(frontend)
    chains = {}
    for target in targets:
        name = chains[target.node] = f"to-{target.node}/{frontend.protocol}/{target.port}"
        draft.chains[name] = [f"meta l4proto {frontend.protocol} dnat to {target.address}:{target.port}"]
    if not targets:
        rules.append(_nobody(frontend))
    elif frontend.affinity:
        rules += _remembered(draft, frontend, targets, marks)
        cases = _set([f"{marks[target.node]} : goto {chains[target.node]}" for target in targets])
        rules.append(f"meta mark vmap {cases}")
    else:
        rules.append(_draw(list(chains.values()), "goto"))
