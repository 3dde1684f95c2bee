# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import attrs
import pytest

from emu.kernel.sysctl import Sysctl
from emu.kernel.tcp.config import TcpConfig
from emu.sim.time import MILLISECOND, SECOND

PARAMETERS = [
    ("syn_retries", 3, "syn_retries", 3),
    ("syn_linear_timeouts", 0, "syn_linear_timeouts", 0),
    ("synack_retries", 2, "synack_retries", 2),
    ("retries2", 8, "retries2", 8),
    ("fin_timeout", 5, "fin_timeout", 5 * SECOND),
    ("window_scaling", 0, "window_scaling", False),
    ("sack", 0, "sack", False),
    ("dsack", 0, "dsack", False),
    ("timestamps", 0, "timestamps", False),
    ("keepalive_time", 60, "keepalive_time", 60 * SECOND),
    ("keepalive_intvl", 7, "keepalive_interval", 7 * SECOND),
    ("syncookies", 0, "syncookies", False),
    ("abort_on_overflow", 1, "abort_on_overflow", True),
    ("invalid_ratelimit", 100, "invalid_ratelimit", 100 * MILLISECOND),
    ("early_retrans", 0, "early_retrans", 0),
    ("rto_min_us", 100_000, "rto_min", 100 * MILLISECOND),
    ("rto_max_ms", 60_000, "rto_max", 60 * SECOND),
]


def test_the_defaults_are_those_of_the_sysctls() -> None:
    """Both say what Linux 6.18 does; but for buffers, which depend on its memory, and for BBR."""
    chosen = TcpConfig.from_sysctl(Sysctl().get)
    same = attrs.evolve(chosen, rmem=TcpConfig().rmem, wmem=TcpConfig().wmem, congestion_control="cubic")
    assert same == TcpConfig()


@pytest.mark.parametrize(("name", "value", "field", "expected"), PARAMETERS)
def test_a_sysctl_changes_what_it_names(name: str, value: int, field: str, expected: object) -> None:
    """In the unit that the code works with, and nothing else."""
    sysctl = Sysctl()
    before = TcpConfig.from_sysctl(sysctl.get)
    sysctl.set(f"net.ipv4.tcp_{name}", value)
    after = TcpConfig.from_sysctl(sysctl.get)
    assert attrs.asdict(before) | {field: expected} == attrs.asdict(after)
    assert before != after


def test_buffers_are_three_sizes() -> None:
    """Least, first and largest."""
    sysctl = Sysctl()
    sysctl.set("net.ipv4.tcp_rmem", "4096 65536 1000000")
    assert TcpConfig.from_sysctl(sysctl.get).rmem == (4096, 65536, 1_000_000)
