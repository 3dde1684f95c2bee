# SPDX-License-Identifier: GPL-2.0-only
"""Command lines that are wrong are refused, and told why."""

from __future__ import annotations

import pytest

from emu.testing.lab import two_hosts


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("ping ::1", "only IPv4 is modelled"),
        ("traceroute ::1", "only IPv4 is modelled"),
        ("ping -Q 256 10.0.0.2", "no number from 0 to 255"),
        ("ping -Q -1 10.0.0.2", "no number from 0 to 255"),
        ("ping -Q 0xzz 10.0.0.2", "no number from 0 to 255"),
        ("ping -c 0 10.0.0.2", "no number from 1 to"),
        ("ping -i nan 10.0.0.2", "no number of seconds"),
    ],
)
def test_arguments_out_of_range_are_refused(command: str, complaint: str) -> None:
    """Nothing is sent, and the status is 2."""
    finished = two_hosts().namespace("a").execute(command.split())
    assert finished.status == 2
    assert complaint in finished.stderr


def test_the_tos_may_be_hexadecimal() -> None:
    """As ping of iputils takes it."""
    lab = two_hosts()
    assert lab.namespace("a").execute(["ping", "-c", "1", "-Q", "0x10", "10.0.0.2"]).status == 0
    assert 0x10 in {step.octets[15] for step in lab.at("a/eth0")}
