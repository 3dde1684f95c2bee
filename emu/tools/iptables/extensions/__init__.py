# SPDX-License-Identifier: GPL-2.0-only
"""Matches and targets as iptables writes them, a module for each or for a few kindred ones.

A module has a tuple `EXTENSIONS` of `Extension`s (`emu.tools.iptables.extension`), and a
line in `MATCHES` or `TARGETS` below for each of their names. An `Extension` says which
options there are (`Option`: long name, aliases, how many words follow, whether `!` may
stand before it); `build(options)` makes the kernel's value of them, after it was checked
that they are known, given once, complete, not excluded by one another and not inverted
where that makes no sense. What only `build` can tell is wrong it raises by `wrong`, in
iptables' words. `emu.tools.iptables.values` has the words that several share: numbers,
masks, ports, quoting. `mark.py` and `tcp.py` are the pattern.

`render(value)` returns the options as `iptables-save` prints them (`--dport 80`), and
`describe(value)` what `iptables -nL` shows (`tcp dpt:80`); the names `-m tcp` are put
before by others. `build(render(value))` is `value`, so what cannot be told apart when
printed is one value (`--dport 0:65535` is no condition). What the kernel demands of the
place of a rule is declared, too: `protocols`, `tables`, `hooks`, and `refuses` for the
rest. Judge by the real tools: `iptables-nft-save` and `iptables-legacy-save` agree on
nearly everything.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.tools.iptables.extension import AnyExtension

MATCHES: Final[Mapping[str, str]] = {
    "addrtype": "addrtype",
    "comment": "comment",
    "connbytes": "connbytes",
    "connlimit": "connbytes",
    "connmark": "connmark",
    "conntrack": "conntrack",
    "dscp": "tos",
    "ecn": "ecn",
    "hashlimit": "hashlimit",
    "icmp": "icmp",
    "iprange": "iprange",
    "ipvs": "ipvs",
    "length": "length",
    "limit": "limit",
    "mac": "mac",
    "mark": "mark",
    "multiport": "multiport",
    "nfacct": "nfacct",
    "owner": "owner",
    "physdev": "physdev",
    "pkttype": "pkttype",
    "recent": "recent",
    "rpfilter": "rpfilter",
    "sctp": "sctp",
    "set": "set",
    "state": "conntrack",
    "statistic": "statistic",
    "tcp": "tcp",
    "tcpmss": "tcpmss",
    "tos": "tos",
    "ttl": "ttl",
    "udp": "udp",
}
"""The matches by their names behind `-m`, and the module of this package that has each."""

TARGETS: Final[Mapping[str, str]] = {
    "CHECKSUM": "without_effect",
    "CLASSIFY": "without_effect",
    "CONNMARK": "connmark",
    "CT": "ct",
    "DNAT": "nat",
    "DSCP": "tos",
    "LOG": "log",
    "MARK": "mark",
    "MASQUERADE": "nat",
    "NETMAP": "nat",
    "NFLOG": "log",
    "NOTRACK": "ct",
    "REDIRECT": "nat",
    "REJECT": "reject",
    "SET": "set",
    "SNAT": "nat",
    "TCPMSS": "tcpmss",
    "TOS": "tos",
    "TRACE": "without_effect",
    "TTL": "ttl",
}
"""The targets by their names behind `-j`, likewise."""


@lru_cache(maxsize=1024)
def find_match(name: str) -> AnyExtension | None:
    """Return what is called `name` behind `-m`; None if it is not modelled."""
    return _find(MATCHES, name)


@lru_cache(maxsize=1024)
def find_target(name: str) -> AnyExtension | None:
    """Return what is called `name` behind `-j`; None if it is not modelled."""
    return _find(TARGETS, name)


def of_type(kind: type) -> AnyExtension:
    """Return the extension whose values are of the type `kind`.

    Raises:
        KeyError: there is none.
    """
    if kind not in _BY_TYPE:
        for module in sorted({*MATCHES.values(), *TARGETS.values()}):
            _extensions(module)
    return _BY_TYPE[kind]


def _find(table: Mapping[str, str], name: str) -> AnyExtension | None:
    if name not in table:
        return None
    return next(extension for extension in _extensions(table[name]) if extension.name == name)


@cache
def _extensions(module: str) -> tuple[AnyExtension, ...]:
    extensions: tuple[AnyExtension, ...] = import_module(f"{__name__}.{module}").EXTENSIONS
    _BY_TYPE.update({extension.type: extension for extension in extensions})
    return extensions


_BY_TYPE: Final[dict[type, AnyExtension]] = {}
"""The extensions that have been imported, by the types of their values."""
