# SPDX-License-Identifier: GPL-2.0-only
"""`reject`: read and written. Source: nftables, src/evaluate.c (`stmt_evaluate_reject`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables.statements import Reject
from emu.tools.nft.constants import render_atom, take_atom
from emu.tools.nft.faults import SyntaxFaultError

if TYPE_CHECKING:
    from emu.tools.nft.scope import Scope
    from emu.tools.nft.tokens import Tokens

_CODES: Final = {"icmp": of.ICMP_CODE, "icmpv6": of.ICMPV6_CODE, "icmpx": of.ICMPX_CODE}
_PORT_UNREACHABLE: Final = {"icmp": 3, "icmpv6": 4, "icmpx": 1}
_NETWORK: Final = {"icmp": "ip", "icmpv6": "ip6"}
_BY_NETWORK: Final = {"ip": "icmp", "ip6": "icmpv6"}


def take(tokens: Tokens, scope: Scope) -> Reject:
    """Take what stands behind `reject`.

    What a packet has to be for it is asked first in the rule, so that nothing
    counts or logs packets that are not rejected.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    place = tokens.last.place
    if not tokens.accept("with"):
        kind = _BY_NETWORK.get(scope.network, "icmpx")
        return Reject(kind, _PORT_UNREACHABLE[kind])
    kind = tokens.expect("tcp", *_CODES).text
    if kind == "tcp":
        tokens.expect("reset")
        scope.need_transport("tcp", place.to(tokens.last.place), first=True)
        return Reject("tcp")
    tokens.accept("type")
    code = tokens.next.place
    value = take_atom(tokens, _CODES[kind])
    assert isinstance(value, int)
    if kind == "icmpx":
        if scope.family in ("ip", "ip6"):
            raise SyntaxFaultError(code, "abstracted ICMP unreachable not supported")
    else:
        scope.need_network(_NETWORK[kind], code, first=True)
    return Reject(kind, value)


def render(reject: Reject, *, is_default: bool) -> str:
    """Return a reject as nft lists it; `is_default` where nothing needs to be said."""
    if reject.kind == "tcp":
        return "reject with tcp reset"
    if is_default:
        return "reject"
    return f"reject with {reject.kind} {render_atom(reject.code, _CODES[reject.kind])}"


def is_default(reject: Reject, family: str) -> bool:
    """Return whether `reject` alone means it in a table of `family`."""
    kind = _BY_NETWORK.get(family, "icmpx")
    return reject == Reject(kind, _PORT_UNREACHABLE[kind])
