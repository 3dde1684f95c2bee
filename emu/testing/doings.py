# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for what is done in a network: programs that ask and serve, frames put in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from emu.cluster.network.actions import (
    Inject,
    Ping,
    Step,
    TcpRequest,
    TcpServer,
    Traceroute,
    UdpReply,
    UdpRequest,
    UdpServer,
)
from emu.testing import strategies
from emu.testing.networks import NOBODY
from emu.wire.addresses import LIMITED_BROADCAST, Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.network.model import EndSpec, NetworkDocument

_ECHO: Final = 7
_DISCARD: Final = 9


def actions(
    document: NetworkDocument, *, fewest: int = 0, most: int = 6, injections: bool = True
) -> st.SearchStrategy[tuple[Step, ...]]:
    """Draw what programs do in a network, and frames that are put into it; shrink to nothing.

    Every host and router serves UDP and TCP, and others ask, ping and trace:
    each other, broadcast addresses, nobody. Frames are any that
    `strategies.frames` draws with the network's addresses, mutants among them.
    They are for a port where nobody answers: a datagram from one echo server
    to another goes to and fro for ever.

    Args:
        document: the network.
        fewest: actions at the least, the servers not counted.
        most: actions at the most.
        injections: whether frames are put in that no program sends.
    """
    ends = [end for link in document.links for end in link.ends if end.addresses]
    homes = list(dict.fromkeys(end.ns for end in ends))
    servers = [
        Step(kind, server, background=True, lead=0)
        for name in homes
        for kind, server in (
            ("udp_server", UdpServer(name, _ECHO)),
            ("udp_server", UdpServer(name, _DISCARD, reply=UdpReply.NONE)),
            ("tcp_server", TcpServer(name, _ECHO)),
            ("tcp_server", TcpServer(name, _DISCARD)),
        )
    ]
    doings = _injections(document) if injections else st.nothing()
    if homes:
        doings |= _askings(homes, _targets(document))
    elif not injections:
        return st.just(())
    return st.lists(doings, min_size=fewest, max_size=most).map(lambda steps: (*servers, *steps))


def _own(document: NetworkDocument) -> list[Interface]:
    own = [address for link in document.links for end in link.ends for address in end.addresses]
    own += [address for ipip in document.ipips for address in ipip.addresses]
    return own + [address for vxlan in document.vxlans for address in vxlan.addresses]


def _others(document: NetworkDocument) -> list[IpAddress]:
    """Return addresses that mean many, nobody, or oneself."""
    own = _own(document)
    others = [address.broadcast for address in own]
    others += [IpAddress.from_int(int(address.prefix.address) + NOBODY) for address in own]
    others += [LIMITED_BROADCAST, IpAddress(b"\xe0\0\0\1"), IpAddress(b"\x7f\0\0\1")]
    return list(dict.fromkeys(others))


def _targets(document: NetworkDocument) -> st.SearchStrategy[IpAddress]:
    own = [address.address for address in _own(document)]
    return st.sampled_from(own * 2 + _others(document)) | strategies.ip_addresses()


def _askings(homes: Sequence[str], targets: st.SearchStrategy[IpAddress]) -> st.SearchStrategy[Step]:
    names, ports = st.sampled_from(homes), st.sampled_from((_ECHO, _ECHO, 8472, 99))
    sizes = st.integers(0, 100) | st.integers(0, 3000)
    fragments = st.sampled_from((False, None, True))
    pings = st.builds(Ping, names, targets, size=sizes, count=st.integers(1, 2), df=fragments)
    datagrams = st.builds(UdpRequest, names, targets, ports, payload=sizes.map(bytes), df=fragments)
    connections = st.builds(
        TcpRequest,
        names,
        targets,
        ports,
        send=sizes.map(bytes),
        close=st.sampled_from(("fin", "rst", "none")),
    )
    traces = st.builds(Traceroute, names, targets)
    return (
        pings.map(lambda action: Step("ping", action))
        | datagrams.map(lambda action: Step("udp", action))
        | connections.map(lambda action: Step("tcp", action))
        | traces.map(lambda action: Step("traceroute", action))
    )


def _injections(document: NetworkDocument) -> st.SearchStrategy[Step]:
    """Draw frames that leave by a device, for the station at the other end if there is one, else for any."""
    every = [end for link in document.links for end in link.ends]
    wider = [address.address for address in _own(document)] + _others(document)

    def by(end: EndSpec, other: EndSpec) -> st.SearchStrategy[Step]:
        known = [address.address for address in (*other.addresses, *end.addresses)]
        frames = strategies.frames(
            macs=[other.mac, end.mac] if other.addresses else [station.mac for station in every],
            addresses=known * 2 + wider,
            ports=(_DISCARD, 8472, 40000),
        )
        octets = st.lists(frames | strategies.mutants(frames), min_size=1, max_size=4)
        return octets.map(lambda found: Step("inject", Inject(end.ns, end.iface, tuple(found))))

    places = [pair for link in document.links for pair in (link.ends, link.ends[::-1])]
    return st.sampled_from(places).flatmap(lambda pair: by(*pair))
