# SPDX-License-Identifier: GPL-2.0-only
"""A verdict as JSON: the contract for machines.

Every key is always there, null or empty where it does not apply. Probabilities
are fractions in lowest terms, as strings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NotRequired, TypeAlias, TypedDict

from emu.kernel.netfilter.hooks import Hook
from emu.observe.recording import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emu.observe.recording import Step
    from emu.verify.story import Hop
    from emu.verify.verdict import Arrival, Outcome, Verdict

ObjectOf: TypeAlias = "Callable[[Step], str | None]"
"""Says which object a step is owed to, as `KIND NS/NAME`."""

_CHAINS: Final = frozenset(hook.name for hook in Hook)


class SocketReport(TypedDict):
    """Address and port, the port null for ICMP."""

    ip: str
    port: int | None


class EndpointReport(SocketReport):
    """Who got the request; `pod` and `node` are null in a network document."""

    namespace: str
    pod: str | None
    node: str | None


class HopReport(TypedDict):
    """One step of a packet."""

    time_ns: int
    namespace: str
    device: str
    stage: str
    table: str | None
    chain: str | None
    rule: str | None
    object: str | None
    before: str | None
    after: str | None
    conntrack: str | None
    decision: str
    module: str


class OutcomeReport(TypedDict):
    """One branch, without its hops; the probability is null where timing decides."""

    probability: str | None
    result: str
    reason: str | None
    direction: str | None
    where: str | None
    endpoint: EndpointReport | None
    seen_source: SocketReport | None
    dnat: bool
    masquerade: bool
    choices: list[str]


class TracedReport(OutcomeReport):
    """One branch, with its hops."""

    hops: list[HopReport]


VerdictReport = TypedDict(
    "VerdictReport",
    {
        "from": str,
        "to": str,
        "verdict": str,
        "delivered": str | None,
        "outcomes": list[TracedReport],
        "assumptions": list[str],
        "unknown": NotRequired[list[str]],
    },
)
"""The answer of `emu trace -o json`; `unknown` is there if the verdict is UNKNOWN."""


def report(verdict: Verdict, shown: Iterable[Outcome], object_of: ObjectOf | None = None) -> VerdictReport:
    """Return the answer of `emu trace -o json`, with the outcomes to be `shown`.

    Args:
        verdict: the answer.
        shown: the outcomes.
        object_of: says whose doing a step was; None leaves that out.
    """
    answer: VerdictReport = {
        "from": verdict.source.text,
        "to": str(verdict.target),
        "verdict": verdict.word.value,
        "delivered": None if verdict.delivered is None else str(verdict.delivered),
        "outcomes": [traced_report(outcome, object_of) for outcome in shown],
        "assumptions": list(verdict.assumptions),
    }
    if verdict.unknown:
        answer["unknown"] = list(verdict.unknown)
    return answer


def traced_report(outcome: Outcome, object_of: ObjectOf | None = None) -> TracedReport:
    """Return one branch with its hops."""
    whose = object_of or _nobodys
    return TracedReport(
        **outcome_report(outcome),
        hops=[_hop(hop, whose(hop.told.step)) for hop in outcome.story.hops()],
    )


def _nobodys(_step: Step) -> None:
    """Return no object: nobody is there to say whose doing a step was."""


def outcome_report(outcome: Outcome) -> OutcomeReport:
    """Return one branch."""
    cause, arrival = outcome.cause, outcome.arrival
    return OutcomeReport(
        probability=None if outcome.is_timed else str(outcome.probability),
        result=outcome.result.value,
        reason=None if cause is None else cause.code,
        direction=None if cause is None else cause.way.value,
        where=None if cause is None else cause.net,
        endpoint=None if arrival is None else _endpoint(arrival),
        seen_source=None if arrival is None else _seen_source(arrival),
        dnat=outcome.dnat,
        masquerade=outcome.masquerade,
        choices=[str(choice) for choice in outcome.choices],
    )


def _endpoint(arrival: Arrival) -> EndpointReport:
    return EndpointReport(
        namespace=arrival.net,
        pod=arrival.pod,
        node=arrival.node,
        ip=str(arrival.address),
        port=arrival.port,
    )


def _seen_source(arrival: Arrival) -> SocketReport:
    return SocketReport(ip=str(arrival.source), port=arrival.source_port)


def _hop(hop: Hop, whose: str | None) -> HopReport:
    step = hop.told.step
    return HopReport(
        time_ns=step.time,
        namespace=step.net,
        device=hop.device,
        stage=step.stage or step.kind.value,
        table=None if step.chain is None else step.chain[0],
        chain=step.chain[1] if step.chain is not None else step.stage if step.stage in _CHAINS else None,
        rule=step.rule or None,
        object=whose,
        before=None if hop.before is None else str(hop.before),
        after=None if hop.after is None else str(hop.after),
        conntrack=step.conntrack or None,
        decision=_decision(hop),
        module=hop.told.module,
    )


def _decision(hop: Hop) -> str:
    step = hop.told.step
    if step.kind is not Kind.DROP:
        return step.detail
    reason = "" if step.reason is None else step.reason.name
    return f"{reason}: {step.detail}" if step.detail else reason
