# SPDX-License-Identifier: GPL-2.0-only
"""What the sysctls `net.ipv4.tcp_*` decide, as one value a connection is made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.sysctl_names import Value

INITIAL_RTO: Final = 1 * SECOND
FALLBACK_RTO: Final = 3 * SECOND  # RFC 6298 §5.7: the handshake gave no measurement
TIME_WAIT_LENGTH: Final = 60 * SECOND
INITIAL_CWND: Final = 10
DEFAULT_MSS: Final = 536  # RFC 9293 §3.7.1: what a peer takes that says nothing
MIN_MSS: Final = 88
HEADERS: Final = 40  # of IPv4 and TCP, without options
TIMESTAMPS_LENGTH: Final = 12  # the option, aligned

Triple = tuple[int, int, int]


@attrs.frozen
class TcpConfig:
    """Parameters of TCP; the defaults are those of Linux 6.18.

    Attributes:
        syn_retries: how often a SYN is repeated with doubled pauses, after the linear ones.
        syn_linear_timeouts: how often it is repeated at the initial RTO before.
        synack_retries: how often a SYN-ACK is repeated.
        retries2: for how many doubled RTOs data is repeated.
        orphan_retries: the same for sockets that nobody holds; 0 stands for 8.
        fin_timeout: how long an orphan waits in FIN-WAIT-2.
        rmem: least, first and largest receive buffer, octets.
        wmem: least, first and largest send buffer, octets.
        app_window: share (2 to the minus) of the window that is kept back.
        min_snd_mss: the least segment size that a path MTU may cause.
        keepalive_time: silence before the first probe.
        keepalive_interval: pause between probes.
        keepalive_probes: unanswered ones until the connection is given up.
        syncookies: answer SYNs even if too many wait already.
        ecn: agree to ECN when a peer asks for it.
        abort_on_overflow: refuse with RST, instead of silence, what the accept queue has no room for.
        invalid_ratelimit: the least pause between ACKs for segments that do not fit.
        pingpong_thresh: answers until a connection counts as interactive.
        compressed_ack_delay: how long ACKs with SACK are held back at most.
        compressed_acks: how many of them.
        early_retrans: 3 or 4: send loss probes (RFC 8985 §7).
        reordering: duplicate ACKs that mean a loss.
        frto: probe after a timeout whether it was spurious (RFC 5682).
        congestion_control: `cubic` or `reno`; what else is configured behaves as `cubic`.
    """

    syn_retries: int = 6
    syn_linear_timeouts: int = 4
    synack_retries: int = 5
    retries2: int = 15
    orphan_retries: int = 0
    fin_timeout: Duration = 60 * SECOND
    rmem: Triple = (4096, 131072, 33554432)
    wmem: Triple = (4096, 16384, 4194304)
    moderate_rcvbuf: bool = True
    app_window: int = 31
    window_scaling: bool = True
    sack: bool = True
    dsack: bool = True
    timestamps: bool = True
    min_snd_mss: int = 48
    keepalive_time: Duration = 7200 * SECOND
    keepalive_interval: Duration = 75 * SECOND
    keepalive_probes: int = 9
    syncookies: bool = True
    ecn: bool = True
    abort_on_overflow: bool = False
    invalid_ratelimit: Duration = 500 * MILLISECOND
    rfc1337: bool = False
    pingpong_thresh: int = 1
    compressed_ack_delay: Duration = 1 * MILLISECOND
    compressed_acks: int = 44
    early_retrans: int = 3
    reordering: int = 3
    max_reordering: int = 300
    frto: bool = True
    slow_start_after_idle: bool = True
    retrans_collapse: bool = True
    tso_win_divisor: int = 3
    rto_min: Duration = 200 * MILLISECOND
    rto_max: Duration = 120 * SECOND
    congestion_control: str = "cubic"

    @classmethod
    def from_sysctl(cls, get: Callable[[str], Value]) -> Self:
        """Return the configuration that the sysctls `net.ipv4.tcp_*` give.

        Args:
            get: returns the value of a sysctl by its whole name.
        """

        def number(name: str) -> int:
            value = get(f"net.ipv4.tcp_{name}")
            assert isinstance(value, int), f"tcp_{name} is one number"
            return value

        def triple(name: str) -> Triple:
            value = get(f"net.ipv4.tcp_{name}")
            assert isinstance(value, tuple), f"tcp_{name} is three numbers"
            least, first, largest = value
            return least, first, largest

        return cls(
            syn_retries=number("syn_retries"),
            syn_linear_timeouts=number("syn_linear_timeouts"),
            synack_retries=number("synack_retries"),
            retries2=number("retries2"),
            orphan_retries=number("orphan_retries"),
            fin_timeout=number("fin_timeout") * SECOND,
            rmem=triple("rmem"),
            wmem=triple("wmem"),
            moderate_rcvbuf=bool(number("moderate_rcvbuf")),
            app_window=number("app_win"),
            window_scaling=bool(number("window_scaling")),
            sack=bool(number("sack")),
            dsack=bool(number("dsack")),
            timestamps=bool(number("timestamps")),
            min_snd_mss=number("min_snd_mss"),
            keepalive_time=number("keepalive_time") * SECOND,
            keepalive_interval=number("keepalive_intvl") * SECOND,
            keepalive_probes=number("keepalive_probes"),
            syncookies=bool(number("syncookies")),
            ecn=bool(number("ecn")),
            abort_on_overflow=bool(number("abort_on_overflow")),
            invalid_ratelimit=number("invalid_ratelimit") * MILLISECOND,
            rfc1337=bool(number("rfc1337")),
            pingpong_thresh=number("pingpong_thresh"),
            compressed_ack_delay=number("comp_sack_delay_ns"),
            compressed_acks=number("comp_sack_nr"),
            early_retrans=number("early_retrans"),
            reordering=number("reordering"),
            max_reordering=number("max_reordering"),
            frto=bool(number("frto")),
            slow_start_after_idle=bool(number("slow_start_after_idle")),
            retrans_collapse=bool(number("retrans_collapse")),
            tso_win_divisor=number("tso_win_divisor"),
            rto_min=number("rto_min_us") * MICROSECOND,
            rto_max=number("rto_max_ms") * MILLISECOND,
            congestion_control=str(get("net.ipv4.tcp_congestion_control")),
        )
