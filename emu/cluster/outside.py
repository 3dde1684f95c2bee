# SPDX-License-Identifier: GPL-2.0-only
"""The hosts outside: who answers there, and the resolver that knows their names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps import association, datagram, dns_server
from emu.apps.http import server
from emu.apps.http.message import MOST_PASSED_ON, Response
from emu.cluster.topology.fabric.external import ExternalSpec
from emu.fabric.userland import Userland
from emu.sim.time import EPOCH
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import dns.message

    from emu.apps.http.message import Request
    from emu.cluster.topology.fabric.spec import FabricSpec
    from emu.cluster.underlay import Underlay
    from emu.fabric.program import Program

RESOLVER: Final = IpAddress.parse("192.0.2.53")
"""The name server that nodes have in their resolv.conf, as a provider's network gives one."""

LAPTOP: Final = ExternalSpec("laptop", IpAddress.parse("198.51.100.7"))
"""The host outside that there is when nobody names any."""

_TTL: Final = 300
_HTTPS: Final = 443


def build(
    underlay: Underlay,
    fabric: FabricSpec,
    epoch: int = EPOCH,
    published: Callable[[str], IpAddress | None] = lambda _: None,
) -> tuple[IpAddress, dict[str, Userland]]:
    """Make the hosts outside and the resolver.

    Args:
        underlay: what they hang on.
        fabric: who there is.
        epoch: ns since 1970 at the start of the run, for the clocks of hosts.
        published: gives addresses of other names that the resolver knows.

    Returns:
        The address of the nodes' resolver, and what programs on each host see, by its network namespace.
    """
    externals = fabric.external or (LAPTOP,)
    userlands: dict[str, Userland] = {}
    for each in externals:
        net = underlay.add_external(each.name, each.address)
        files = {"/etc/resolv.conf": f"nameserver {RESOLVER}\n"}
        userlands[net.name] = Userland(each.name, files, epoch=epoch)
        for protocol, port in each.serves:
            underlay.fabric.spawn(net, _serve(each, protocol, port))
    known = {each.name: each.address for each in externals}

    def names(name: str) -> IpAddress | None:
        return known.get(name) or published(name)

    net = underlay.add_external("resolver", RESOLVER)
    underlay.fabric.spawn(net, dns_server.serve(lambda query, _client, _how: answer(query, names)))
    inner = underlay.attach_resolver()
    if inner is None:
        return RESOLVER, userlands
    underlay.fabric.spawn(inner[0], dns_server.serve(lambda query, _client, _how: answer(query, names)))
    return inner[1], userlands


def _serve(host: ExternalSpec, protocol: str, port: int) -> Program[None]:
    if protocol == "UDP":
        return datagram.serve(port)
    if protocol == "SCTP":
        return association.serve(port)
    response = Response.text(f"{host.name}\n")
    if port != _HTTPS:
        return server.serve(port, lambda _request: response, most=MOST_PASSED_ON)
    names = (host.name, str(host.address))
    tls = partial(_context, names)
    return server.serve(port, lambda _request: response, tls=tls, plain=_refuse, most=MOST_PASSED_ON)


def _context(names: tuple[str, ...]) -> ssl.SSLContext:
    from emu.apps.tls import certificates, contexts  # noqa: PLC0415 - 100 ms when somebody comes

    return contexts.server(certificates.issue(names))


def _refuse(_: Request) -> Response:
    return Response.text("Client sent an HTTP request to an HTTPS server.\n", 400)


def answer(query: dns.message.Message, names: Callable[[str], IpAddress | None]) -> dns.message.Message:
    """Return what the resolver answers: the hosts outside have addresses, other names do not exist."""
    import dns.flags  # noqa: PLC0415 - dnspython costs 60 ms, and most runs resolve nothing
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415
    import dns.rrset  # noqa: PLC0415

    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    if not query.question:
        return reply
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    address = names(name)
    if address is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", "A", str(address)))
    return reply
