# SPDX-License-Identifier: GPL-2.0-only
"""The settings of TCP's tracker, kept as it uses them: every segment asks for several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from emu.kernel.netfilter.conntrack.tcp_table import State
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.sysctl import Sysctl
    from emu.sim.time import Duration

_LIFETIMES: Final[Mapping[State, str]] = {
    State.SYN_SENT: "net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
    State.SYN_RECV: "net.netfilter.nf_conntrack_tcp_timeout_syn_recv",
    State.ESTABLISHED: "net.netfilter.nf_conntrack_tcp_timeout_established",
    State.FIN_WAIT: "net.netfilter.nf_conntrack_tcp_timeout_fin_wait",
    State.CLOSE_WAIT: "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    State.LAST_ACK: "net.netfilter.nf_conntrack_tcp_timeout_last_ack",
    State.TIME_WAIT: "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    State.CLOSE: "net.netfilter.nf_conntrack_tcp_timeout_close",
}
_SYN_SENT2: Final[Duration] = 120 * SECOND  # no setting reaches it


class TcpSettings(NamedTuple):
    """The settings of one namespace.

    Attributes:
        generation: that of the sysctls which they were read from.
        lifetimes: for how long a connection is remembered, by its state.
        retransmitted: likewise, if a segment was repeated too often.
        unacknowledged: likewise, if data was not acknowledged.
        max_retransmissions: how often is too often.
        loose: connections may be picked up in the middle.
        liberal: everybody is believed.
        ignores_invalid_rst: the number of a RST is not looked at.
    """

    generation: int
    lifetimes: tuple[Duration, ...]
    retransmitted: Duration
    unacknowledged: Duration
    max_retransmissions: int
    loose: bool
    liberal: bool
    ignores_invalid_rst: bool


_KEPT: Final[WeakKeyDictionary[Sysctl, TcpSettings]] = WeakKeyDictionary()


def read(sysctl: Sysctl) -> TcpSettings:
    """Return the settings as `sysctl` has them now."""
    kept = _KEPT.get(sysctl)
    if kept is None or kept.generation != sysctl.generation:
        number = sysctl.number
        lifetimes = (
            number(_LIFETIMES[state]) * SECOND if state in _LIFETIMES else _SYN_SENT2 for state in State
        )
        kept = _KEPT[sysctl] = TcpSettings(
            generation=sysctl.generation,
            lifetimes=tuple(lifetimes),
            retransmitted=number("net.netfilter.nf_conntrack_tcp_timeout_max_retrans") * SECOND,
            unacknowledged=number("net.netfilter.nf_conntrack_tcp_timeout_unacknowledged") * SECOND,
            max_retransmissions=number("net.netfilter.nf_conntrack_tcp_max_retrans"),
            loose=bool(number("net.netfilter.nf_conntrack_tcp_loose")),
            liberal=bool(number("net.netfilter.nf_conntrack_tcp_be_liberal")),
            ignores_invalid_rst=bool(number("net.netfilter.nf_conntrack_tcp_ignore_invalid_rst")),
        )
    return kept
