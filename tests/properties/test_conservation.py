# SPDX-License-Identifier: GPL-2.0-only
"""Nothing that is sent is lost without a word, on any network.

What a packet may end in without being dropped stands in `emu.testing.checks`,
each with its reason. Nothing else is passed over in silence.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps.options import IpOptions
from emu.apps.ping import ping
from emu.fabric.cable import Cable
from emu.fabric.faults import NO_FAULTS, Faults
from emu.kernel import rtnetlink
from emu.sim.time import MILLISECOND
from emu.testing.checks import unaccounted
from emu.testing.doings import actions
from emu.testing.lab import Lab, two_hosts
from emu.testing.networks import networks

if TYPE_CHECKING:
    from fractions import Fraction

    from emu.cluster.network.model import NetworkDocument

SEEDS = st.integers(0, 99)


def cables(document: NetworkDocument) -> st.SearchStrategy[dict[int, Cable]]:
    """Draw a cable for one or the other link: it delays, loses, doubles, garbles, or refuses."""
    share = st.fractions(0, 1, max_denominator=4)
    faults = st.builds(
        Faults,
        loss=share,
        duplicate=share,
        reorder=share,
        corrupt=share,
        drop_nth=st.tuples(st.integers(1, 9)),
        drop_every=st.integers(0, 5),
    )
    cable = st.builds(
        Cable,
        latency=st.integers(0, 20 * MILLISECOND),
        bandwidth=st.sampled_from((0, 10_000_000)),
        queue=st.integers(0, 5000),
        faults=st.just(NO_FAULTS) | faults,
        mtu=st.sampled_from((0, 600)),
    )
    return st.dictionaries(st.integers(0, len(document.links) - 1), cable, max_size=1)


def flips(document: NetworkDocument) -> st.SearchStrategy[dict[int, tuple[str, bool]]]:
    """Draw devices that go down or come up, each with the number of the action under way."""
    points = [f"{end.ns}/{end.iface}" for link in document.links for end in link.ends]
    points += [f"{spec.ns}/{spec.iface}" for spec in document.vxlans]
    return st.dictionaries(st.integers(0, 5), st.tuples(st.sampled_from(points), st.booleans()), max_size=2)


def flip(lab: Lab, point: str, *, up: bool) -> None:
    """Do as `ip link set` does."""
    change = rtnetlink.set_up if up else rtnetlink.set_down
    net, device = lab.find(point)
    lab.call(net.name, partial(change, device=device))


@settings(max_examples=max(settings().max_examples // 2, 5))
@given(st.data())
def test_every_packet_on_any_network_is_accounted_for(data: st.DataObject) -> None:
    """Each that is sent arrives or is dropped; each that arrives goes on, is taken, or is dropped."""
    document = data.draw(networks(fewest=4), "network")
    lab = Lab(document, budget=200_000)
    for number, cable in data.draw(cables(document), "cables").items():
        a, b = document.links[number].ends
        lab.plug(f"{a.ns}/{a.iface}", f"{b.ns}/{b.iface}", cable)
    changes = data.draw(flips(document), "flips")
    steps = data.draw(actions(document, fewest=4, most=8), "actions")
    for step in steps:
        if step.background:
            lab.begin(step.action)
    for number, step in enumerate(step for step in steps if not step.background):
        process = lab.begin(step.action)
        lab.wait(3 * MILLISECOND)
        if number in changes:
            point, up = changes[number]
            flip(lab, point, up=up)
        lab.finish(process)
    lab.rest()
    assert unaccounted(lab) == []


@settings(max_examples=max(settings().max_examples // 4, 5))
@given(st.integers(0, 3000), st.sampled_from((68, 300, 1500)), st.fractions(0, 1, max_denominator=5), SEEDS)
def test_fragments_that_others_wait_for_in_vain(size: int, mtu: int, loss: Fraction, seed: int) -> None:
    """A cable that loses some of them leaves the rest behind, and each of these is told of, too."""
    lab = two_hosts(mtu=mtu, seed=seed)
    lab.plug("a/eth0", "b/eth0", Cable(faults=Faults(loss)))
    lab.run("a", ping(lab.address("b"), count=3, size=size, options=IpOptions(df=False)))
    lab.rest()
    assert unaccounted(lab) == []
