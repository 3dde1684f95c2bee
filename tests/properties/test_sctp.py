# SPDX-License-Identifier: GPL-2.0-only
"""SCTP over cables that lose, repeat and reorder, with a router between that translates or does not."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emu.apps.outcome import word
from emu.fabric import program
from emu.fabric.cable import Cable
from emu.fabric.faults import Faults
from emu.kernel.sctp.association import Association
from emu.kernel.sctp.cookie import Cookie, CookieJar
from emu.kernel.sctp.incoming import Incoming
from emu.kernel.sctp.states import State
from emu.kernel.sockets import SocketKind
from emu.observe.recording import Kind
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, START, Duration, Instant, later
from emu.testing.lab import Lab, routed_chain
from emu.wire import ethernet, sctp, translation
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.sctp import Chunk, ChunkType, Data, Init, Parameter, Sack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.observe.recording import Step

Fate: TypeAlias = "tuple[Duration, ...]"
"""How long each copy of a frame is under way; none: it is lost."""

LATENCY: Final = 100 * MICROSECOND
DELAYS: Final = (LATENCY, LATENCY, 3 * MILLISECOND, 250 * MILLISECOND)
MOST_LOSSES: Final = 2  # of one sender, one after the other: who is never heard gives up
CABLES: Final = {"client/eth0": "r1/eth0", "r1/eth1": "server/eth0"}
OTHER_ENDS: Final = CABLES | {b: a for a, b in CABLES.items()}
ROUTER, SERVER = IpAddress.parse("10.0.0.2"), IpAddress.parse("10.0.1.2")
PORT: Final = 5000
PATIENCE: Final = 600 * SECOND
HOLD: Final = 3 * SECOND  # until nothing is under way any more
IP_HEADER: Final = 20
NAT: Final = (
    "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP",
    "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE",
    f"iptables -t nat -A PREROUTING -i eth0 -p sctp --dport 80 -j DNAT --to-destination {SERVER}:{PORT}",
    # Linux' 3 s are no longer than a lost COOKIE ECHO takes to be sent again
    "sysctl -w net.netfilter.nf_conntrack_sctp_timeout_cookie_wait=30",
    "sysctl -w net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed=30",
)


class Weather:
    """What becomes of the frames on both cables, in the order in which they are sent."""

    def __init__(self, lab: Lab, fates: Sequence[Fate]) -> None:
        self._lab = lab
        self._fates = iter(fates)
        self._lost: dict[str, int] = dict.fromkeys(OTHER_ENDS, 0)
        for a, b in CABLES.items():
            lab.plug(a, b, Cable(faults=Faults(drop_every=1)))  # what arrives is brought below
        lab.recording.add(self)

    def hear(self, step: Step) -> None:
        """Bring the copies of a frame that is sent."""
        point = f"{step.net}/{step.device}"
        if step.kind is not Kind.OUT or point not in OTHER_ENDS:
            return
        fate = next(self._fates, (LATENCY,))
        self._lost[point] = 0 if fate else self._lost[point] + 1
        if self._lost[point] > MOST_LOSSES:
            self._lost[point], fate = 0, (LATENCY,)
        net, device = self._lab.find(OTHER_ENDS[point])
        for delay in fate:
            self._lab.fabric.loop.after(delay, self._bring, net, device.name, step.octets)

    def _bring(self, net: Namespace, iface: str, octets: bytes) -> None:
        self._lab.fabric.receive_frame(net, iface, octets)


@attrs.frozen
class Outcome:
    """How a conversation went: what the client saw, and what each association of the server got."""

    word: str
    echoed: tuple[bytes, ...]
    taken: tuple[tuple[bytes, ...], ...]


def serve(taken: list[list[bytes]]) -> Program[None]:
    """Echo every message, and write down what each association gets."""
    socket = yield from program.socket(SocketKind.SCTP)
    yield from program.bind(socket, ANY_IP4, PORT)
    yield from program.listen(socket)
    while True:
        association = yield from program.accept(socket)
        taken.append([])
        yield from program.spawn(echo(association, taken[-1]))


def echo(socket: Socket, taken: list[bytes]) -> Program[None]:
    """Echo until the peer has shut down, or is gone."""
    try:
        while message := (yield from program.receive(socket, timeout=PATIENCE)):
            taken.append(message)
            yield from program.send(socket, message, timeout=PATIENCE)
    except OSError:
        pass
    yield from program.close(socket)


def converse(dst: IpAddress, port: int, messages: Sequence[bytes]) -> Program[tuple[str, tuple[bytes, ...]]]:
    """Send all messages, then read as many, wait, and shut down."""
    socket = yield from program.socket(SocketKind.SCTP)
    echoed: list[bytes] = []
    outcome = "ok"
    try:
        yield from program.connect(socket, dst, port)
        for message in messages:
            yield from program.send(socket, message)
        while len(echoed) < len(messages):
            echoed.append((yield from program.receive(socket)))
    except OSError as error:
        outcome = word(error)
    yield from program.sleep(HOLD)
    yield from program.close(socket)
    return outcome, tuple(echoed)


def known_neighbours(lab: Lab) -> None:
    """Have nobody ask for MAC addresses: the frames under way are SCTP's alone."""
    for point, other in OTHER_ENDS.items():
        (_, device), (net, own) = lab.find(point), lab.find(other)
        address = device.addresses[0].address
        line = f"ip neigh replace {address} lladdr {device.mac} dev {own.name} nud permanent"
        lab.namespace(net.name).run(line)


def talk(fates: Sequence[Fate], messages: Sequence[bytes], *, nat: bool = False) -> Outcome:
    """Have a conversation in such weather, see that all ends well, and return how it went."""
    lab = routed_chain(1)
    known_neighbours(lab)
    for line in NAT if nat else ():
        lab.namespace("r1").run(line)
    Weather(lab, fates)
    taken: list[list[bytes]] = []
    lab.start("server", serve(taken))
    target = (ROUTER, 80) if nat else (SERVER, PORT)
    outcome, echoed = lab.run("client", converse(*target, messages))
    lab.rest()
    for name in ("client", "server"):
        assert list(lab.net(name).sctp.entries()) == [], name
    for packet in packets(lab):
        assert sctp.checksum_holds(packet)
    return Outcome(outcome, echoed, tuple(map(tuple, taken)))


def packets(lab: Lab) -> Iterator[bytes]:
    """Yield the SCTP packets that passed any tap."""
    for point in OTHER_ENDS:
        for step in lab.at(point):
            if step.octets[ethernet.HEADER_LENGTH + 9] == sctp.PROTOCOL:
                yield step.octets[ethernet.HEADER_LENGTH + IP_HEADER :]


def fates(most: int = 2) -> st.SearchStrategy[list[Fate]]:
    """What becomes of the first frames, `most` copies of each; shrinks to good weather."""
    copies = st.lists(st.sampled_from(DELAYS), max_size=most).map(tuple)
    return st.lists(st.just((LATENCY,)) | copies, max_size=60)


def conversations() -> st.SearchStrategy[list[bytes]]:
    """What a client says: messages that differ, some too long for a packet."""
    sizes = st.lists(st.sampled_from([1, 2, 3, 100, 1452, 1453, 5000]), min_size=1, max_size=4)
    return sizes.map(lambda found: [random.Random(place).randbytes(size) for place, size in enumerate(found)])


def check(outcome: Outcome, messages: Sequence[bytes]) -> None:
    """See that both ends had the same conversation, or that the client was told of its failure."""
    assert outcome.word in {"ok", "timeout"}
    if outcome.word == "ok":
        assert outcome.echoed == tuple(messages)
        assert outcome.taken == (tuple(messages),)
    for taken in (outcome.echoed, *outcome.taken):
        assert taken == tuple(messages[: len(taken)])


@given(fates(), conversations())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_an_association_stands_at_both_ends_or_fails_and_data_arrives_once_and_in_order(
    weather: list[Fate], messages: list[bytes]
) -> None:
    """Whatever is lost, repeated or late; all packets have good checksums, and nothing is left behind."""
    check(talk(weather, messages), messages)


@given(conversations(), st.lists(st.tuples(st.sampled_from(DELAYS)), max_size=60))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_without_losses_every_association_stands(messages: list[bytes], weather: list[Fate]) -> None:
    """Packets that overtake each other are no reason to fail."""
    assert talk(weather, messages).word == "ok"


@given(fates(most=1), conversations())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_translation_in_between_changes_nothing(weather: list[Fate], messages: list[bytes]) -> None:
    """Destination and source rewritten: the same conversation, in the same weather.

    Repeated packets are left out: each copy of an INIT gets an INIT ACK with a tag of
    its own, the tracker believes the last and takes the cookie of the first for invalid.
    """
    translated = talk(weather, messages, nat=True)
    check(translated, messages)
    assert translated == talk(weather, messages)


# --- packets from anywhere ---


def stray_chunks() -> st.SearchStrategy[Chunk]:
    """Any chunk, most of them well formed, with numbers near those in use."""
    numbers = st.integers(-3, 20).map(lambda offset: offset & 0xFFFFFFFF) | st.integers(0, 0xFFFFFFFF)
    shorts = st.integers(0, 5) | st.integers(0, 0xFFFF)
    parameters = st.lists(
        st.builds(Parameter, shorts | st.sampled_from([7, 0x8000, 0xC000]), st.binary(max_size=5)), max_size=2
    )
    inits = st.builds(Init, numbers, numbers, shorts, shorts, numbers, parameters.map(tuple))
    sacks = st.builds(
        Sack,
        numbers,
        numbers,
        st.lists(st.tuples(shorts, shorts), max_size=3).map(tuple),
        st.lists(numbers, max_size=2).map(tuple),
    )
    return st.one_of(
        st.builds(
            Chunk, st.integers(0, 15) | st.integers(0, 255), st.integers(0, 255), st.binary(max_size=9)
        ),
        st.builds(Init.chunk, inits, st.sampled_from([ChunkType.INIT, ChunkType.INIT_ACK])),
        st.builds(Data, numbers, shorts, shorts, numbers, st.binary(max_size=9), st.integers(0, 7)).map(
            Data.chunk
        ),
        sacks.map(Sack.chunk),
        numbers.map(sctp.shutdown),
        st.builds(lambda code: sctp.error(Parameter(code, bytes(4))), st.integers(0, 13)),
    )


@attrs.frozen
class Stray:
    """A packet that arrives after a pause: with the right tag, the peer's, none, or any."""

    pause: Duration
    tag: int | str
    chunks: tuple[Chunk, ...]


def strays() -> st.SearchStrategy[list[Stray]]:
    """Some packets, with pauses short and long."""
    pauses = st.sampled_from([0, MILLISECOND, SECOND, 70 * SECOND])
    tags = st.sampled_from(["own", "own", "own", "peer"]) | st.sampled_from([0, 1])
    chunks = st.lists(stray_chunks(), max_size=3).map(tuple)
    return st.lists(st.builds(Stray, pauses, tags, chunks), max_size=8)


@given(st.integers(0, 4), strays())
def test_no_packet_breaks_an_association(phase: int, coming: list[Stray]) -> None:
    """Any chunks, at any time of it, are taken, answered or dropped; every step is one of the table's."""
    now, taken = START, random.Random(phase)
    jar = CookieJar(b"secret", b"place")
    draw = partial(taken.getrandbits, 3)  # near the numbers of the strays
    if phase == 0:
        association = Association.open(jar, draw, 1500, now)
    else:
        cookie = Cookie(now, 3, 4, 5, 6, 5000, 1)
        association = Association.accepted(cookie, jar, draw, 1500)
    if phase > 1:
        association.write(bytes(4000), now)
    if phase > 2:
        association.shut(now)
    for stray in coming:
        now = later(now, stray.pause)
        before = association.state
        tags: dict[int | str, int] = {"own": association.local_tag, "peer": association.peer_tag, 0: 0, 1: 1}
        association.receive(tags[stray.tag], stray.chunks, now)
        deadline = association.next_deadline
        if deadline is not None and deadline <= now:
            association.timeout(now)
        for packet in association.take_packets():
            assert sctp.checksum_holds(sctp.build(1, 2, packet.tag, packet.chunks))
            assert len(sctp.build(1, 2, packet.tag, packet.chunks)) <= 1500 - IP_HEADER
        assert (association.state is State.CLOSED) == association.is_gone
        assert before is not State.CLOSED or association.is_gone
    rest(association, now)


def rest(association: Association, now: Instant) -> None:
    """See that an association that is shut comes to its end by itself."""
    association.shut(now)
    for _ in range(200):
        deadline = association.next_deadline
        if association.is_gone or deadline is None:
            break
        association.timeout(max(deadline, now))
        association.take_packets()
    assert association.is_gone


# --- planted faults ---


def fails(attempt_nat: bool) -> None:  # noqa: FBT001 - whether by a translation
    """See that the property fails."""

    @given(fates(), conversations())
    @settings(max_examples=60, database=None, phases=[Phase.generate], derandomize=True)
    def attempt(weather: list[Fate], messages: list[bytes]) -> None:
        check(talk(weather, messages, nat=attempt_nat), messages)

    with pytest.raises(AssertionError):
        attempt()


def test_a_stack_that_takes_what_comes_for_the_next_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property fails if DATA beyond a gap is delivered at once."""
    right = Incoming.take

    def take(self: Incoming, data: Data) -> bool:
        return right(self, data._replace(tsn=(self.cumulative + 1) & 0xFFFFFFFF))

    monkeypatch.setattr(Incoming, "take", take)
    fails(attempt_nat=False)


def test_a_translation_that_leaves_the_checksum_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property fails if a router rewrites ports and nothing else."""
    monkeypatch.setattr(translation, "sctp_checksum", lambda packet: packet[8:12])
    fails(attempt_nat=True)
