# SPDX-License-Identifier: GPL-2.0-only
"""Cables that get other settings while they are in use."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from emu.cluster.underlay.changes import cables_between, set_link
from emu.errors import CommandError, UnknownNameError
from emu.fabric.faults import NO_FAULTS, Faults
from emu.sim.time import MILLISECOND
from tests.unit.cluster.underlay import racks

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.fabric.cable import Cable


@pytest.fixture
def cluster() -> Cluster:
    """Return a cluster on the default fabric."""
    return racks.plain()


def cable(cluster: Cluster) -> Cable:
    """Return the cable of w1."""
    found = cluster.fabric.cable(cluster.node("w1").net, "eth0")
    assert found is not None
    return found


def reaches(cluster: Cluster) -> bool:
    """Return whether w1 reaches w2."""
    return not cluster.node("w1").execute(["ping", "-c1", "-W1", "172.18.0.4"]).status


def test_settings_change_one_by_one_and_are_cleared(cluster: Cluster) -> None:
    """What words do not name stays."""
    set_link(cluster.fabric, "w1", "underlay", ["delay", "5ms", "loss", "10%"])
    set_link(
        cluster.fabric,
        "underlay",
        "w1:eth0",
        ["corrupt", "1/3", "dropNth", "2", "mtu", "1400", "bandwidth", "10mbit"],
    )
    found = cable(cluster)
    assert (found.latency, found.mtu, found.bandwidth) == (5 * MILLISECOND, 1400, 10_000_000)
    assert found.faults == Faults(loss=Fraction(1, 10), corrupt=Fraction(1, 3), drop_nth=(2,))
    set_link(cluster.fabric, "w1", "underlay", ["clear"])
    assert (found.latency, found.mtu, found.bandwidth, found.faults) == (0, 0, 0, NO_FAULTS)
    assert reaches(cluster)


def test_a_link_goes_down_and_comes_up_again(cluster: Cluster) -> None:
    """Both ends lose their carrier, and get it back."""
    net = cluster.node("w1").net
    set_link(cluster.fabric, "w1", "underlay", ["down"])
    assert "NO-CARRIER" in str(cluster.node("w1").run("ip link show eth0"))
    assert not reaches(cluster)
    cluster.node("w1").run("ip link set eth0 down")
    cluster.node("w1").run("ip link set eth0 up")
    assert not net.device("eth0").carrier
    set_link(cluster.fabric, "w1", "underlay", ["up"])
    assert net.device("eth0").carrier
    cluster.node("w1").run("ip route add default via 172.18.0.1")
    assert reaches(cluster)


def test_all_is_lost_at_a_hundred_per_cent(cluster: Cluster) -> None:
    """Without a word: the carrier stays."""
    set_link(cluster.fabric, "w1", "underlay", ["loss", "100%"])
    assert not reaches(cluster)
    assert cluster.node("w1").net.device("eth0").carrier


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "up, down, clear"),
        ("los 5%", "no los; did you mean 'loss'"),
        ("loss often", "loss must be a probability"),
        ("delay 5", "delay must be a time"),
        ("mtu 10", "mtu must be a whole number"),
        ("loss", "each with a value"),
    ],
)
def test_words_that_make_no_sense_change_nothing(cluster: Cluster, words: str, said: str) -> None:
    """They are told."""
    with pytest.raises(CommandError, match=r"link|loss|delay|mtu") as error:
        set_link(cluster.fabric, "w1", "underlay", words.split())
    assert said in str(error.value).replace(" (", "; ").replace(": did", "; did")
    assert cluster.fabric.cable(cluster.node("w1").net, "eth0") is None


def test_machines_that_are_not_there_or_not_connected(cluster: Cluster) -> None:
    """Which it is, is told."""
    with pytest.raises(UnknownNameError, match="there is no w9"):
        cables_between(cluster.fabric, "w9", "w1")
    with pytest.raises(UnknownNameError, match="no cable between w1 and w2"):
        cables_between(cluster.fabric, "w1", "w2")
