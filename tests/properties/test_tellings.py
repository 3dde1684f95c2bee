# SPDX-License-Identifier: GPL-2.0-only
"""Whatever is asked of whatever network, a trace can be read: eighty columns, the answer first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cluster.network.lab import Network
from emu.cluster.network.run import NetworkRun
from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.lab import two_hosts
from emu.testing.networks import networks
from emu.verify.asker import Asker
from emu.verify.causes.codes import CODES
from emu.verify.explainer import Explainer
from emu.verify.telling import answer
from emu.verify.telling.html import html
from emu.verify.telling.markdown import markdown
from emu.verify.telling.places import Places
from emu.verify.telling.telling import Telling
from emu.verify.telling.text import text
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.cluster.network.model import NetworkDocument
    from emu.testing.plans import Plan
    from emu.verify.verdict import Verdict

WORD: Final = re.compile(r'(?:emu|DROP [A-Z_]+|[a-z]+=(?:"[^"]*"|[^ "]+))(?: |$)')
FEW: Final = settings(max_examples=max(settings().max_examples // 3, 8))
MOST_LINES: Final = 60
PROTOCOLS: Final = ("", ":8080", ":53/udp", ":9/udp", ":36412/sctp")


def check(network: Emulation, source: str, target: str) -> Verdict:
    """Ask, tell the answer in every form, and check what is promised of it."""
    verdict = Asker(network).judge(source, target)
    shown = tuple(enumerate(verdict.outcomes, 1))
    places = Places(network)
    for is_verbose in (False, True):
        telling = Telling(verdict, shown, tuple(number for number, _ in shown), is_verbose, places=places)
        lines = text(telling).splitlines()
        assert max(map(len, lines)) <= 80
        check_first(lines[0], verdict)
    brief = Telling(verdict, shown, (1,), places=places)
    failed = verdict.failure
    flow = f"{verdict.source.text} -> {verdict.target}"
    assert flow in " ".join(text(brief).split())
    if failed is not None and failed.cause is not None:
        assert failed.cause.net in text(brief).replace("\n         ", "")
    for form in (html, markdown):
        assert form(brief)
    for _, outcome in shown:
        assert sum(len(half.rows) for half in brief.halves(outcome)) <= MOST_LINES
    return verdict


def check_first(line: str, verdict: Verdict) -> None:
    """Check that the first line has the verdict, its share, and the reason."""
    assert line.split(maxsplit=1)[0] == verdict.word.value
    if verdict.word is Word.SOMETIMES:
        assert line.split()[1] == str(verdict.delivered)
    if verdict.failure is not None and verdict.failure.cause is not None and not verdict.unknown:
        assert line.rsplit(maxsplit=1)[-1] == verdict.failure.cause.code


@FEW
@given(networks(), st.integers(0, 9), st.integers(0, 9), st.sampled_from(PROTOCOLS))
def test_of_any_network_a_trace_can_be_read(
    document: NetworkDocument, source: int, target: int, protocol: str
) -> None:
    """Routes missing, leading astray, in circles; ports closed; addresses nobody has."""
    network = Network(NetworkRun(document))
    named = [
        net.name
        for net in network.fabric.namespaces.values()
        if any(device.addresses and not device.is_loopback for device in net.devices.values())
    ]
    if named:
        check(network, named[source % len(named)], named[target % len(named)] + protocol)


@FEW
@given(plans(most_services=2), st.lists(traffics(), min_size=1, max_size=2))
def test_of_any_cluster_a_trace_can_be_read(plan: Plan, questions: list[Traffic]) -> None:
    """Pods, nodes, hosts outside, and Services."""
    lab = ClusterLab(plan)
    askers = [each.name for each in lab.parties]
    for each in questions:
        party = lab.parties[each.target % len(lab.parties)]
        target = f"{party.name}:{8080 + each.size % 2}/{each.protocol.value.lower()}"
        if each.protocol.value == "ICMP":
            target = party.name
        check(lab, askers[each.source % len(askers)], target)


@FEW
@given(networks(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=3))
def test_of_any_network_captures_can_be_explained(
    document: NetworkDocument, pairs: list[tuple[int, int]]
) -> None:
    """Every comment is one line of words and KEY=VALUE, every end has a code that there is a page about."""
    network = Network(NetworkRun(document))
    nets = list(network.fabric.namespaces.values())
    with network.capture("*/*", explainer=Explainer(network)) as recorded:
        for source, target in pairs:
            asker, asked = nets[source % len(nets)], nets[target % len(nets)]
            addresses = [own.address for device in asked.devices.values() for own in device.addresses]
            for address in addresses[:1]:
                network.host(asker.name).execute(["ping", "-c", "1", "-W", "1", str(address)])
                network.host(asker.name).execute(["curl", "-s", "--max-time", "1", f"http://{address}:81"])
    for frame in (*recorded.capture.frames, *recorded.capture.endings):
        for comment in frame.comments:
            assert "".join(found[0] for found in WORD.finditer(comment)) == comment
    for frame in recorded.capture.endings:
        assert frame.comments[-1].split()[1] in CODES


def test_the_check_finds_a_line_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a sentence of a hundred letters."""
    monkeypatch.setattr(answer, "WIDTH", 1000)
    monkeypatch.setattr(answer, "_sentences", lambda *_: iter(["x" * 100]))
    with pytest.raises(AssertionError):
        check(two_hosts(), "a", "b")
