# SPDX-License-Identifier: GPL-2.0-only
"""Programs that speak SCTP."""

from __future__ import annotations

import pytest

from emu.apps import association
from emu.apps.stream import Exchange
from emu.sim.time import SECOND
from emu.testing.lab import two_hosts
from emu.wire.addresses import IpAddress


def test_messages_are_echoed() -> None:
    """As often as is asked; then nothing is left of it."""
    lab = two_hosts()
    lab.start("b", association.serve(36412))
    exchange = lab.run("a", association.request(lab.address("b"), 36412, b"S1AP", rounds=2))
    assert exchange == Exchange("ok", b"S1APS1AP")
    lab.rest()
    assert not any(list(lab.net(name).sctp.entries()) for name in ("a", "b"))


def test_a_server_answers_what_it_is_told_to() -> None:
    """Or not at all."""
    lab = two_hosts()
    lab.start("b", association.serve(1, reply=bytes.upper))
    lab.start("b", association.serve(2, reply=lambda _: None))
    assert lab.run("a", association.request(lab.address("b"), 1, b"loud")).received == b"LOUD"
    assert lab.run("a", association.request(lab.address("b"), 2, b"loud")) == Exchange("timeout")


def test_an_empty_request_only_associates() -> None:
    """From an address and port that are asked for."""
    lab = two_hosts()
    lab.start("b", association.serve(1))
    exchange = lab.run(
        "a", association.request(lab.address("b"), 1, b"", src=IpAddress.parse("10.0.0.1"), src_port=9)
    )
    assert exchange == Exchange("ok")


@pytest.mark.parametrize(
    ("address", "outcome"),
    [("10.0.0.2", "ECONNREFUSED"), ("10.0.0.9", "timeout"), ("192.0.2.1", "ENETUNREACH")],
)
def test_a_failure_has_a_name(address: str, outcome: str) -> None:
    """A closed port, a host that is not there, a network without a route."""
    lab = two_hosts()
    request = association.request(IpAddress.parse(address), 1, b"x", timeout=10 * SECOND)
    assert lab.run("a", request) == Exchange(outcome)
