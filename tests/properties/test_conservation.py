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

from emu.fabric.cable import Cable
from emu.kernel import rtnetlink
from emu.sim.time import MILLISECOND
from emu.testing.checks import unaccounted
from emu.testing.lab import Lab
from emu.testing.networks import actions, networks

if TYPE_CHECKING:
    from emu.cluster.network.actions import Step
    from emu.cluster.network.model import NetworkDocument


def cables() -> st.SearchStrategy[Cable]:
    """Draw cables that delay, lose, and refuse what is too long or too much."""
    return st.builds(
        Cable,
        latency=st.integers(0, 20 * MILLISECOND),
        bandwidth=st.sampled_from((0, 10_000_000)),
        queue=st.integers(0, 5000),
        loss=st.fractions(0, 1, max_denominator=4),
        mtu=st.sampled_from((0, 600)),
    )


def flips(document: NetworkDocument) -> st.SearchStrategy[dict[str, bool]]:
    """Draw devices that go down (or come up) while something is under way."""
    points = [f"{end.ns}/{end.iface}" for link in document.links for end in link.ends]
    points += [f"{spec.ns}/{spec.iface}" for spec in document.vxlans]
    return st.dictionaries(st.sampled_from(points), st.booleans(), max_size=1)


def flip(lab: Lab, point: str, *, up: bool) -> None:
    """Do as `ip link set` does."""
    change = rtnetlink.set_up if up else rtnetlink.set_down
    net, device = lab.find(point)
    lab.call(net.name, partial(change, device=device))


def carry_out(lab: Lab, step: Step, changes: dict[str, bool]) -> None:
    """Begin one thing, flip devices while its packets are under way, and see it to its end."""
    process = lab.begin(step.action)
    if not step.background:
        lab.wait(3 * MILLISECOND)
        for point, up in changes.items():
            flip(lab, point, up=up)
        lab.finish(process)


@settings(max_examples=max(settings().max_examples // 2, 5))
@given(st.data())
def test_every_packet_on_any_network_is_accounted_for(data: st.DataObject) -> None:
    """Each that is sent arrives or is dropped; each that arrives goes on, is taken, or is dropped."""
    document = data.draw(networks(fewest=3), "network")
    lab = Lab(document, budget=200_000)
    for link in document.links:
        a, b = (f"{end.ns}/{end.iface}" for end in link.ends)
        cable = data.draw(st.none() | cables(), f"cable from {a} to {b}")
        if cable is not None:
            lab.plug(a, b, cable)
    for step in data.draw(actions(document, fewest=2), "actions"):
        carry_out(lab, step, {} if step.background else data.draw(flips(document), "flips"))
    lab.rest()
    assert unaccounted(lab) == []
