# SPDX-License-Identifier: GPL-2.0-only
"""Where the octets come from that a host sends."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.wire import craft

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies/two-nodes-by-vxlan.yaml"
KINDS: Final = ("arp", "ipv4", "icmp", "udp", "tcp", "vxlan")


@pytest.mark.parametrize("kind", KINDS)
def test_every_header_a_host_sends_is_made_of_scapys(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack asks `wire/craft` for the template of each header, which Scapy builds."""
    asked: list[str] = []
    genuine = craft.template.__wrapped__

    def template(wanted: str) -> bytes:
        asked.append(wanted)
        return genuine(wanted)

    monkeypatch.setattr(craft, "template", template)
    run = NetworkRun(load_network(TOPOLOGY))
    outcome = run.run()
    assert outcome.unexpected == []
    assert kind in asked


def test_a_packet_costs_no_scapy_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the templates are there, Scapy is not asked for anything more."""
    for kind in (*KINDS, "ethernet"):
        craft.template(kind)
    monkeypatch.setattr(craft, "layers", lambda: pytest.fail("Scapy was asked"))
    outcome = NetworkRun(load_network(TOPOLOGY)).run()
    assert outcome.unexpected == []
