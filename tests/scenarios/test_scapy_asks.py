# SPDX-License-Identifier: GPL-2.0-only
"""Scapy packets are sent into a running network from Python, and it answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

import emu

if TYPE_CHECKING:
    from scapy.packet import Packet

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies/two-pods-on-a-bridge.yaml"
PEER: Final = "10.244.1.3"
QUESTIONS: Final = {
    "an open port": (IP(dst=PEER) / TCP(dport=8080, flags="S"), "SA"),
    "a closed port": (IP(dst=PEER) / TCP(dport=81, flags="S"), "RA"),
    "an echo": (IP(dst=PEER) / ICMP(id=7), "echo-reply"),
    "a port nobody is bound to": (IP(dst=PEER) / UDP(dport=99) / b"hello", "dest-unreach"),
    "whose address it is": (Ether() / ARP(pdst=PEER), "is at"),
}


@pytest.mark.parametrize(("question", "word"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_without_a_source_is_answered(question: Packet, word: str) -> None:
    """An address of the namespace stands in for what is left out, also when the answer is matched."""
    answer = emu.load(TOPOLOGY).namespace("pod1").sr1(question)
    assert answer is not None
    assert word in answer.summary()
    assert type(answer) is type(question)


def test_a_question_to_nobody_has_no_answer() -> None:
    """Where nothing comes back in time, there is None."""
    assert emu.load(TOPOLOGY).namespace("pod1").sr1(IP(dst="10.244.1.77") / ICMP()) is None
