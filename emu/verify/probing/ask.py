# SPDX-License-Identifier: GPL-2.0-only
"""Asks probes of a cluster or a network, each from the same state, and gives the answers in their order.

Before the first question strangers' addresses get hosts, and everybody knows
his neighbours (warm ARP and FDB tables). Those who are to listen on every port
asked begin behind the questions for which they are not.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.cluster.cluster import Cluster
from emu.cluster.points import WORKLOADS, parse_point, pods_of, service_of
from emu.errors import AddressError, DocumentError, EmuError, EndPointError
from emu.kube.api.objects import Pod, Service
from emu.kube.api.selectors import contains
from emu.verify import firstpacket
from emu.verify.asker import Asker
from emu.verify.cluster_endpoint import find_target
from emu.verify.endpoint import LITERAL, Source
from emu.verify.jobs import answers
from emu.verify.probing import guests
from emu.verify.probing.answer import Answer, answer_of, pooled
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.cluster.emulation import Emulation
    from emu.errors import Fault
    from emu.verify.probing.probe import Probe


def ask_all(
    network: Emulation,
    probes: Sequence[Probe],
    *,
    namespace: str = "default",
    jobs: int = 1,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Answer]:
    """Return the answers to `probes`, in their order.

    Args:
        network: it gets hosts outside and listeners that probes ask for.
        probes: the questions.
        namespace: of names of Kubernetes without one.
        jobs: how many processes may ask.
        told: is told how many are answered, and how many there are.

    Raises:
        DocumentError: end points are wrong; all are told.
    """
    asking = _Asking(network, namespace)
    questions = asking.prepare(probes)
    verdicts: dict[_Question, Answer | str] = {}
    wanted = {question for group in questions for question in group}
    for listens in (False, True):
        group = sorted(question for question in wanted if question.listens is listens)
        if listens and group:
            guests.listen(network, {port for probe in probes if probe.listens for port in _listening(probe)})
        asker = Asker(network, is_brief=True)
        found = answers(partial(_ask, asker, namespace), group, jobs)
        for question, verdict in zip(group, found, strict=True):
            verdicts[question] = verdict
            told(len(verdicts), len(wanted))
    answered = [
        asking.answer(probe, [verdicts[question] for question in group])
        for probe, group in zip(probes, questions, strict=True)
    ]
    if asking.faults:
        raise DocumentError(asking.faults)
    return answered


class _Question(NamedTuple):
    """Who asks whom, as texts for an asker, with how many octets, and whether everybody listens."""

    source: str
    target: str
    payload: int
    listens: bool


def _ask(asker: Asker, namespace: str, question: _Question) -> Answer | str:
    """Return the answer, or what is wrong with the question."""
    try:
        source, target = question.source, question.target
        return answer_of(asker.judge(source, target, namespace=namespace, payload=question.payload))
    except EmuError as error:
        return str(error)


def _listening(probe: Probe) -> Iterator[tuple[str, int]]:
    """Yield the protocol and port that somebody has to listen on."""
    if isinstance(probe.port, int) and not probe.at:
        yield probe.protocol, probe.port


@attrs.define(eq=False)
class _Asking:
    """The questions of a run of probes, and what is wrong with them."""

    network: Emulation
    namespace: str
    faults: list[Fault] = attrs.field(factory=list, init=False)

    def prepare(self, probes: Sequence[Probe]) -> list[list[_Question]]:
        """Return whom each probe makes ask whom, and make the hosts that are asked for.

        Raises:
            DocumentError: end points are wrong; all are told.
        """
        questions = [self._pairs(probe) for probe in probes]
        for probe, pairs in zip(probes, questions, strict=True):
            self._look(probe, pairs)
        if self.faults:
            raise DocumentError(self.faults)
        if isinstance(self.network, Cluster):
            strangers: dict[str, set[tuple[str, int]]] = {}
            for probe in probes:
                for text in (probe.source, probe.target):
                    if not probe.at and LITERAL.fullmatch(text):
                        strangers.setdefault(text, set()).update(_listening(probe))
            guests.invite(self.network, strangers)
            guests.warm(self.network)
        return questions

    def answer(self, probe: Probe, found: Sequence[Answer | str]) -> Answer:
        """Return the answer to one probe; what is wrong with it is noted."""
        faults = [each for each in found if isinstance(each, str)]
        known = [each for each in found if not isinstance(each, str)]
        try:
            first = self._first_packet(probe) if probe.at else None
        except EmuError as error:
            faults.append(str(error))
        self.faults += [probe.fault("", each) for each in dict.fromkeys(faults)]
        if faults or not known:
            return Answer(probe.id, first_packet=None if faults else first)
        return pooled(probe.id, known)

    def _look(self, probe: Probe, pairs: Sequence[_Question]) -> None:
        """Note what can be known to be wrong before anything is asked."""
        try:
            if probe.at:
                self.network.host(probe.at, namespace=self.namespace)
            if isinstance(self.network, Cluster):
                for pair in pairs:
                    if not LITERAL.fullmatch(probe.target) and not _is_dns_name(probe.target):
                        find_target(self.network, pair.target, Source(pair.source, ""), self.namespace)
        except EmuError as error:
            self.faults.append(probe.fault("", str(error)))

    # --- whom a probe means ---

    def _pairs(self, probe: Probe) -> list[_Question]:
        """Return who asks whom."""
        if probe.at:
            return []
        try:
            sources = self._members(probe.source)
        except EmuError as error:
            self.faults.append(probe.fault("from", str(error)))
            sources = []
        try:
            targets = [self._target(probe, each) for each in self._members(probe.target)]
        except EmuError as error:
            self.faults.append(probe.fault("to", str(error)))
            targets = []
        pairs = [
            _Question(source, target, probe.payload, probe.listens)
            for source in sources
            for target in targets
        ]
        if not pairs and sources and targets:
            self.faults.append(probe.fault("", "nobody asks anybody"))
        return pairs

    def _members(self, text: str) -> list[str]:
        """Return the end points that `text` means: each pod of a workload, else itself."""
        if not isinstance(self.network, Cluster) or LITERAL.fullmatch(text) or _is_dns_name(text):
            return [text]
        point = parse_point(text, self.namespace)
        if point.kind == "svc":
            service_of(self.network.store, point)
        pods = pods_of(self.network.store, point)
        if point.kind not in WORKLOADS or point.index is not None:
            return [text]
        if not pods:
            raise EndPointError(f"{text!r} has no pods")
        return [f"pod/{each.metadata.namespace}/{each.metadata.name}" for each in pods]

    def _target(self, probe: Probe, text: str) -> str:
        if probe.via_service:
            text = self._service_of(text)
        port = "" if probe.port is None else f":{probe.port}"
        return f"{text}{port}/{probe.protocol.lower()}"

    def _service_of(self, text: str) -> str:
        """Return the first Service with a ClusterIP that selects a pod."""
        if not isinstance(self.network, Cluster):
            raise EndPointError(f"{text!r}: a network has no Services")
        pods = pods_of(self.network.store, parse_point(text, self.namespace))
        if not pods:
            raise EndPointError(f"{text!r} is no pod: no Service selects it")
        pod = pods[0]
        for service in self.network.store.list(Service, pod.metadata.namespace):
            spec = service.spec
            if spec.selector and contains(pod.metadata.labels, spec.selector) and _has_address(service):
                return f"svc/{service.metadata.namespace}/{service.metadata.name}"
        raise EndPointError(f"{text!r}: no Service with a ClusterIP selects it")

    # --- one node alone ---

    def _first_packet(self, probe: Probe) -> firstpacket.Judgement:
        host = self.network.host(probe.at, namespace=self.namespace)
        if not isinstance(probe.port, int):
            raise EndPointError("a first packet needs a number as port")
        question = firstpacket.Question(
            IpAddress.parse(probe.source), self._address(probe.target), probe.port, probe.protocol, probe.iif
        )
        return firstpacket.judge_at(host.net, question)

    def _address(self, text: str) -> IpAddress:
        try:
            return IpAddress.parse(text)
        except AddressError:
            if not isinstance(self.network, Cluster):
                raise
        point = parse_point(text, self.namespace)
        if point.kind == "svc":
            return IpAddress.parse(service_of(self.network.store, point).spec.cluster_ip)
        found = self.network.store.find(Pod, point.name, point.namespace)
        if found is None:
            raise EndPointError(f"{text!r}: a first packet goes to an address, a pod or a Service")
        return IpAddress.parse(found.status.pod_ip)


def _is_dns_name(text: str) -> bool:
    return "." in text and "/" not in text and "[" not in text


def _has_address(service: Service) -> bool:
    return bool(service.spec.cluster_ip) and not service.is_headless
