# SPDX-License-Identifier: GPL-2.0-only
"""Whether the clients of a scenario have seen what lines expect of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.timeline import telling
from emu.verify.expect.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.timeline.expectation import TrafficExpectation
    from emu.cluster.timeline.story import Story


def check_traffic(story: Story, lines: Iterable[TrafficExpectation]) -> Iterator[Finding]:
    """Yield a finding for each line; a story without the client has not been played, and meets none."""
    clients = {each.spec.name: each for each in story.clients}
    for each in lines:
        client = clients.get(each.name)
        if client is None:
            yield Finding(each, is_met=False, got="NOT PLAYED", words="the scenario's steps were not taken")
            continue
        found = client.summary
        if each.is_met(found):
            yield Finding(each, is_met=True, got=each.got(found))
        else:
            words = "\n      ".join(telling.client_lines(story, client))
            yield Finding(each, is_met=False, got=each.got(found), words=words)
