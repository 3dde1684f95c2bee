# SPDX-License-Identifier: GPL-2.0-only
"""What the rules of one node do with the first packet of a connection, in kube-proxy's words.

The packet is put into the node's namespace and meets the hooks on its way, on
every branch of chance; nothing else of the node decides: not its reverse path
filter, nor a route or a neighbour that is missing.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.errors import EndPointError
from emu.sim.choice import branches
from emu.verify.alone import alone
from emu.verify.nodewalk import Word, send
from emu.wire import ipv4, sctp, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from emu.kernel.namespace import Namespace
    from emu.verify.nodewalk import Fate
    from emu.wire.addresses import IpAddress

FIRST_PORT: Final = 40000
MAX_BRANCHES: Final = 20_000
_PROTOCOLS: Final = {"TCP": ipv4.TCP, "UDP": ipv4.UDP, "SCTP": ipv4.SCTP}


@attrs.frozen
class Question:
    """A first packet.

    Attributes:
        source: its source address, whoever has it.
        destination: its destination address.
        port: its destination port.
        protocol: TCP, UDP or SCTP.
        iif: the device where it arrives; `pod` for that of a pod; empty if the node itself sends it.
        source_port: its source port.
    """

    source: IpAddress
    destination: IpAddress
    port: int
    protocol: str = "TCP"
    iif: str = ""
    source_port: int = FIRST_PORT

    def octets(self) -> bytes:
        """Return the packet.

        Raises:
            EndPointError: there is no such protocol.
        """
        number = _PROTOCOLS.get(self.protocol)
        if number is None:
            raise EndPointError(f"{self.protocol}: a first packet is of {', '.join(_PROTOCOLS)}")
        src, dst, ports = self.source, self.destination, (self.source_port, self.port)
        if number == ipv4.TCP:
            payload = tcp.build(src, dst, *ports, seq=1, ack=0, flags=tcp.SYN, window=64240)
        elif number == ipv4.UDP:
            payload = udp.build(src, dst, *ports, b"emu")
        else:
            first = sctp.Init(tag=1, window=106496, outbound=10, inbound=65535, tsn=1)
            payload = sctp.build(*ports, 0, [first.chunk(sctp.ChunkType.INIT)])
        return ipv4.build(number, src, dst, payload, fragment=ipv4.DF)


class Branch(NamedTuple):
    """One way it can go: the fates of the packets of one run, and how probable it is."""

    fates: tuple[Fate, ...]
    probability: Fraction


@attrs.frozen
class Judgement:
    """The answer about one first packet.

    Attributes:
        word: what becomes of it; `DNAT` if it is translated on any branch.
        endpoints: how probable each endpoint is that can be chosen, sorted by its text.
        masquerade: its source is rewritten, on some branch at least.
        masquerade_only_for: the endpoints for which it is; None if for all or none.
        is_accepted: a rule of INPUT lets it in by name, on every branch.
        words: how probable each fate is.
        unknown: what it met that is not modelled.
    """

    word: Word
    endpoints: Mapping[str, Fraction]
    masquerade: bool
    masquerade_only_for: tuple[str, ...] | None
    is_accepted: bool
    words: Mapping[Word, Fraction]
    unknown: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return what `emu probe -o json` prints of it."""
        answer: dict[str, object] = {
            "verdict": self.word.value if self.word is not Word.UNKNOWN else "UNKNOWN",
            "endpoints": list(self.endpoints),
            "probabilities": {name: str(share) for name, share in self.endpoints.items()},
            "masquerade": self.masquerade,
        }
        if self.masquerade_only_for is not None:
            answer["masqueradeOnlyFor"] = list(self.masquerade_only_for)
        if len(self.words) > 1:
            answer["verdicts"] = {word.value: str(share) for word, share in self.words.items()}
        if self.unknown:
            answer["unknown"] = list(self.unknown)
        return answer


def judge(start: Callable[[], Namespace], question: Question) -> Judgement:
    """Return what the rules of a node do with a first packet.

    Args:
        start: gives the node's namespace in the same state each time; it is changed.
        question: the packet.

    Raises:
        EndPointError: there is no such protocol.
        UnknownNameError: the node has no such device.
    """
    return summary((branch.fates[0], branch.probability) for branch in follow(start, [question]))


def judge_at(net: Namespace, question: Question) -> Judgement:
    """Return what the rules of the living node `net` do with a first packet; it is as it was afterwards.

    Raises:
        EndPointError: there is no such protocol.
        UnknownNameError: the node has no such device.
    """
    with alone(net) as start:
        return judge(start, question)


def follow(
    start: Callable[[], Namespace],
    questions: Sequence[Question],
    between: Callable[[Namespace, int], None] | None = None,
) -> list[Branch]:
    """Return what becomes of packets that come one behind the other, on every branch.

    Args:
        start: gives the node's namespace in the same state each time; it is changed.
        questions: the packets.
        between: is called before each packet with its number from 0, and may let time pass.

    Raises:
        EndPointError: there is no such protocol, or there are too many branches.
        UnknownNameError: the node has no such device.
    """
    found: list[Branch] = []
    for choice in islice(branches(), MAX_BRANCHES + 1):
        if len(found) == MAX_BRANCHES:
            raise EndPointError(f"a first packet has more than {MAX_BRANCHES} branches")
        net = start()
        net.choice = choice
        fates = []
        for number, question in enumerate(questions):
            if between is not None:
                between(net, number)
            fates.append(send(net, question.octets(), question.iif))
        found.append(Branch(tuple(fates), choice.probability))
    return found


def summary(fates: Iterable[tuple[Fate, Fraction]]) -> Judgement:
    """Return the answer that the branches together give; their probabilities add up to 1."""
    words: dict[Word, Fraction] = {}
    endpoints: dict[str, Fraction] = {}
    masqueraded: set[str] = set()
    plain: set[str] = set()
    unknown: dict[str, None] = {}
    accepted: list[bool] = []
    for fate, share in fates:
        words[fate.word] = words.get(fate.word, Fraction(0)) + share
        accepted.append(fate.is_accepted)
        if fate.word is Word.DNAT:
            endpoints[fate.endpoint] = endpoints.get(fate.endpoint, Fraction(0)) + share
        if fate.word in {Word.DNAT, Word.UNCHANGED}:
            (masqueraded if fate.masquerade else plain).add(fate.endpoint)
        if fate.word is Word.UNKNOWN:
            unknown[fate.detail] = None
    word = next(
        (each for each in (Word.UNKNOWN, Word.DNAT) if each in words),
        max(words, key=words.__getitem__, default=Word.UNCHANGED),
    )
    only = tuple(sorted(masqueraded)) if masqueraded and plain else None
    return Judgement(
        word,
        dict(sorted(endpoints.items())),
        bool(masqueraded),
        only,
        bool(accepted) and all(accepted),
        words,
        tuple(unknown),
    )
