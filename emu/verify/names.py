# SPDX-License-Identifier: GPL-2.0-only
"""Names that are asked for: looked up where the question is asked, packets and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.resolver.lookup import Reason, Resolved, Unresolved, configuration, look_up
from emu.errors import UnknownNameError
from emu.verify.endpoint import Protocol, Target
from emu.verify.exchange import first_attempt, observe

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.verify.endpoint import Source
    from emu.verify.exchange import Exchange

_PORT: Final = 53
_ABSENT: Final = frozenset((Reason.NONAME, Reason.NODATA))
_ANSWERED: Final = "reply"
_SILENCE: Final = "timeout"


class NotResolvedError(UnknownNameError):
    """A name has no address. `str()` of it is what a program on Linux would say.

    Attributes:
        source: who asked.
        target: who was to be asked; its address means nothing.
        server: the first name server, as a target.
        exchange: what was sent meanwhile.
        is_absent: a server said that there is no such name; else none said anything of use.
    """

    def __init__(  # noqa: PLR0917 - what is known of a failure, and nothing else
        self,
        message: str,
        source: Source,
        target: Target,
        server: Target,
        exchange: Exchange,
        is_absent: bool,  # noqa: FBT001 - one of the facts
    ) -> None:
        super().__init__(message)
        self.source = source
        self.target = target
        self.server = server
        self.exchange = exchange
        self.is_absent = is_absent


def resolved(network: Emulation, source: Source, target: Target) -> Target:
    """Return `target`, which is called by a name, with its address.

    Raises:
        NotResolvedError: it has none.
    """
    host = network.namespace(source.namespace)
    if source.userland is not None:
        host = attrs.evolve(host, userland=source.userland)
    found: list[Resolved | Unresolved] = []

    def run() -> str:
        process = network.fabric.spawn(host.net, look_up(target.point, host.userland, family=4))
        network.finish(process)
        if not process.done:
            process.kill()
            return _SILENCE
        found.append(process.result)
        return _ANSWERED

    exchange = observe(network, run)
    answer = found[0] if found else Unresolved(Reason.AGAIN)
    if isinstance(answer, Resolved):
        return attrs.evolve(target, address=answer.addresses[0], lookup=exchange)
    raise _not_resolved(target.point, answer, source, target, server_of(host.userland), exchange)


def look_up_at_once(network: Emulation, source: Source, target: Target) -> Exchange:
    """Look `target.name` up as getaddrinfo(3) does, A and AAAA together, and return what happened.

    Raises:
        NotResolvedError: it has no address.
    """
    assert source.userland is not None, "who looks names up has a resolv.conf"
    userland = source.userland
    found: list[Resolved | Unresolved] = []

    def run() -> Program[str]:
        answer = yield from look_up(target.name, userland)
        found.append(answer)
        return _ANSWERED if isinstance(answer, Resolved) else _SILENCE

    exchange = first_attempt(network, [(source.namespace, run())])
    if exchange.is_answered or exchange.late:
        return exchange
    answer = found[0] if found else Unresolved(Reason.AGAIN)
    raise _not_resolved(target.name, answer, source, target, server_of(userland), exchange)


def _not_resolved(  # noqa: PLR0917 - what is known of a failure, and nothing else
    name: str,
    answer: Resolved | Unresolved,
    source: Source,
    target: Target,
    server: Target,
    exchange: Exchange,
) -> NotResolvedError:
    assert isinstance(answer, Unresolved), "it has no address"
    is_absent = answer.reason in _ABSENT
    exchange = attrs.evolve(exchange, outcome=_ANSWERED if is_absent else _SILENCE)
    return NotResolvedError(f"{name}: {answer}", source, target, server, exchange, is_absent)


def server_of(userland: Userland) -> Target:
    """Return the first name server, as a target."""
    address = configuration(userland).servers[0]
    return Target(str(address), address, Protocol.UDP, _PORT)
