# SPDX-License-Identifier: GPL-2.0-only
"""The flows of kube-proxy's own tests that no mode decides about, asked in mode ipvs.

The files are written for iptables and nftables. Whom a packet goes to, and with
whose address, is the same in mode ipvs; where it is not, `DIFFERENT` says why.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import pytest

from emu.verify.alone import alone
from emu.verify.firstpacket import follow, summary
from emu.verify.nodewalk import Word
from tests.conformance.test_kube_proxy import HERE, World, load, question_of, steps_of

if TYPE_CHECKING:
    from pathlib import Path

_LOOPBACK: Final = "node ports are not served at loopback addresses"
_LOCAL: Final = "IPVS does not ask who asks: who is of the cluster gets this node's endpoints alone, too"
_NOBODY: Final = "without endpoints of its own a node takes all, and drops nothing"
_REFUSED: Final = "the address is the node's own, and KUBE-IPVS-FILTER refuses what is no virtual service's"
DIFFERENT: Final = {
    "cluster-ip-general-0-4": _REFUSED,
    "endpoint-choice-both-local-mixed-0-2": _LOCAL,
    "endpoint-choice-both-local-remote-terminating-0-0": _NOBODY,
    "endpoint-choice-both-local-remote-terminating-0-1": _NOBODY,
    "endpoint-choice-zone-and-local-merge-0-2": _LOCAL,
    "external-traffic-policy-local-0-1": _LOCAL,
    "external-traffic-policy-local-0-3": _LOCAL,
    "external-traffic-policy-local-0-5": _LOCAL,
    "masquerade-matrix-all-0-7": _LOCAL,
    "masquerade-matrix-all-0-8": _LOCAL,
    "masquerade-matrix-all-no-detector-0-8": _LOCAL,
    "masquerade-matrix-base-0-7": _LOCAL,
    "masquerade-matrix-base-0-8": _LOCAL,
    "masquerade-matrix-no-detector-0-8": _LOCAL,
    "no-local-endpoints-external-none-local-0-1": _NOBODY,
    "overall-service-mix-0-3": _NOBODY,
    "overall-service-mix-0-10": _REFUSED,
    "terminating-local-terminating-remote-0-1": _NOBODY,
}
"""Flows that fare otherwise, as `FILE-STEP-NUMBER`, and why; beside these all from loopback to loopback."""


def _flows() -> list[object]:
    found: list[object] = []
    for path in sorted((HERE / "kube-proxy").glob("*.yaml")):
        document = load(path)
        if "vectors" in document or "iptables" not in document["modes"] or document["ipFamily"] != "IPv4":
            continue
        for step, state in enumerate(steps_of(document)):
            for number, flow in enumerate(state.get("flows", ())):
                if "iptables" not in flow.get("modes", document["modes"]):
                    continue
                label = f"{path.stem}-{step}-{number}"
                is_looped = flow["sourceHost"] == "node-loopback" and flow["expect"]["endpoints"]
                why = _LOOPBACK if is_looped else DIFFERENT.get(label)
                marks = () if why is None else (pytest.mark.xfail(strict=True, reason=why),)
                found.append(pytest.param(path, step, number, id=label, marks=marks))
    return found


@pytest.mark.parametrize(("path", "step", "number"), _flows())
def test_the_same_packets_fare_the_same(path: Path, step: int, number: int) -> None:
    """The same endpoints with the same shares, masqueraded alike; refused where nobody is to be had."""
    document = load(path)
    world = World(document, "ipvs")
    for each in steps_of(document)[: step + 1]:
        world.enter(each["objects"])
    flow = steps_of(document)[step]["flows"][number]
    with alone(world.net) as start:
        found = follow(start, [question_of(flow)])
    judged = summary((branch.fates[0], branch.probability) for branch in found)
    endpoints = flow["expect"]["endpoints"]
    assert judged.endpoints == {each: Fraction(1, len(endpoints)) for each in endpoints}
    if endpoints:
        assert judged.masquerade is flow["expect"]["masquerade"]
    else:
        assert (set(judged.words) == {Word.UNCHANGED}) is (flow["expect"]["verdict"] == Word.UNCHANGED.value)
