# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import emu
from emu.errors import CommandError
from emu.testing.lab import routed_chain, vxlan_pair
from emu.verify.explainer import Explainer

if TYPE_CHECKING:
    from emu.cluster.recorded import Recorded

TOPOLOGIES: Final = Path(__file__).parents[3] / "topologies"


def past_the_nat() -> Recorded:
    """Return what is captured while a client asks the end point on its own bridge."""
    network = emu.load(TOPOLOGIES / "reply-past-the-nat.yaml")
    with network.capture("any") as recorded:
        for _ in range(4):  # chance picks it soon
            network.namespace("client").execute(["curl", "-sS", "--max-time", "2", "http://10.96.0.20"])
    return recorded


def comments(recorded: Recorded) -> list[str]:
    """Return all comments."""
    frames = (*recorded.capture.frames, *recorded.capture.endings)
    return [comment for frame in frames for comment in frame.comments]


def test_decisions_are_told_with_the_object_they_are_owed_to() -> None:
    """The Service whose rule it was, and kube-proxy for what serves all."""
    said = comments(past_the_nat())
    assert any("hook=nat/KUBE-SVC-WEB " in each and "obj=svc/default/web" in each for each in said)
    assert any("hook=nat/PREROUTING " in each and "obj=kube-proxy" in each for each in said)


def test_an_end_has_the_reason_code_above_the_kernels() -> None:
    """Of a reply that came from a stranger, as the verdict would say."""
    ends = [frame.comments[-1] for frame in past_the_nat().capture.endings]
    assert any(each.startswith("DROP REPLY_NOT_UNNATED kernel=NO_SOCKET ") for each in ends)


def test_a_refused_port_is_the_kernels_reason() -> None:
    """Nothing stands above it."""
    network = routed_chain()
    with network.capture(explainer=Explainer(network)) as recorded, pytest.raises(CommandError):
        network.namespace("client").run("curl -sS http://" + str(network.address("server")) + ":81")
    (end,) = recorded.capture.endings
    assert end.comments[-1].startswith("DROP NO_SOCKET hop=")


def test_a_packet_in_a_tunnel_that_ends_is_explained() -> None:
    """Where nobody forwards."""
    network = vxlan_pair()
    network.namespace("node2").run("sysctl -w net.ipv4.ip_forward=0")
    with network.capture(explainer=Explainer(network)) as recorded, pytest.raises(CommandError):
        network.namespace("pod1").run("ping -c 1 -W 1 10.244.2.2")
    ends = [frame.comments[-1] for frame in recorded.capture.endings]
    assert any(each.startswith("DROP IP_FORWARD_OFF kernel=") for each in ends), ends


@pytest.mark.tshark
def test_wireshark_finds_comments_by_what_they_say(tmp_path: Path) -> None:
    """Each on its own, with the packet's id, in a filter that people type."""
    file = tmp_path / "lab.pcapng"
    past_the_nat().write(file)

    def fields(condition: str) -> list[list[str]]:
        columns = [
            word
            for name in ("frame.interface_name", "frame.packet_id", "frame.comment")
            for word in ("-e", name)
        ]
        command = ["tshark", "-r", str(file), "-n", "-Y", condition, "-T", "fields", *columns]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    ends = fields('frame.comment contains "DROP REPLY_NOT_UNNATED"')
    assert ends
    assert {interface for interface, _, _ in ends} == {"eth0@client"}
    translated = fields('frame.comment contains "obj=svc/default/web"')
    assert translated
    assert all(packet_id and "ct=NEW" in said for _, packet_id, said in translated)
