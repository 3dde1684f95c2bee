# SPDX-License-Identifier: GPL-2.0-only
"""`ip`: which object, and how the answer is to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from emu.apps.commands import ip_address, ip_link, ip_neigh, ip_route, ip_rule, ip_tunnel
from emu.errors import CommandError
from emu.tools.ip import options
from emu.tools.ip.words import Words, choose, is_short_for, not_modelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.apps.commands.action import Action
    from emu.tools.ip.options import Options

_Object: TypeAlias = "Callable[[Words, Options], Action]"

OBJECTS: Final[Mapping[str, _Object]] = {
    "address": ip_address.prepare,
    "route": ip_route.prepare,
    "rule": ip_rule.prepare,
    "neighbor": ip_neigh.prepare,
    "neighbour": ip_neigh.prepare,
    "link": ip_link.prepare,
    "tunnel": ip_tunnel.prepare,
    "tunl": ip_tunnel.prepare,
}
"""In the order in which a shortened word is looked up."""

_UNMODELLED: Final = (
    "addrlabel",
    "fou",
    "ila",
    "ioam",
    "l2tp",
    "macsec",
    "maddress",
    "monitor",
    "mptcp",
    "mroute",
    "mrule",
    "netconf",
    "netns",
    "nexthop",
    "ntable",
    "ntbl",
    "sr",
    "stats",
    "tap",
    "tcp_metrics",
    "tcpmetrics",
    "token",
    "tuntap",
    "vrf",
    "xfrm",
)


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `ip` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    words = Words(argv)
    chosen = options.parse(words, "ip")
    name = words.take()
    found = choose(name, (*OBJECTS, *_UNMODELLED))
    if found is None:
        raise CommandError(f'Object "{name}" is unknown, try "ip help".', 1)
    if found in _UNMODELLED:
        raise not_modelled(f"ip {found}")
    if chosen.family == 6 and words and not is_short_for(words.peek(), "show", "list", "lst"):
        raise not_modelled("IPv6")
    return OBJECTS[found](words, chosen)
