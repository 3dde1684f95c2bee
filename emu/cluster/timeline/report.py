# SPDX-License-Identifier: GPL-2.0-only
"""A story as JSON: what other programs read. `docs/reference/timeline-json.md` has each key.

Instants are whole nanoseconds of the virtual clock. `step` is the number of the
step that came last before, null before the first, and `after_ns` the time since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from emu.cluster.timeline.story import ClientStory, Story
    from emu.cluster.timeline.watch import Entry
    from emu.cluster.timeline.windows import Outage, Window
    from emu.sim.time import Instant

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"

_MS = 1_000_000


def report(story: Story, *, name: str, seed: int) -> dict[str, Json]:
    """Return all of a story as values that JSON has.

    Args:
        story: one that is over.
        name: of the cluster.
        seed: that it was played with.
    """
    return {
        "cluster": name,
        "seed": seed,
        "begin_ns": story.begin,
        "end_ns": story.end,
        "steps": [
            {
                "number": each.number,
                "time_ns": each.time,
                "at_ns": each.step.at,
                "run": each.words,
                "status": each.finished.status,
                "stdout": each.finished.stdout,
                "stderr": each.finished.stderr,
            }
            for each in story.steps
        ],
        "timeline": [_entry(story, each) for each in story.entries],
        "traffic": [_client(story, each) for each in story.clients],
    }


def _since(story: Story, time: Instant) -> dict[str, Json]:
    cause = story.cause_of(time)
    return {
        "step": None if cause is None else cause.number,
        "after_ns": None if cause is None else time - cause.time,
    }


def _entry(story: Story, entry: Entry) -> dict[str, Json]:
    return {
        "time_ns": entry.time,
        **_since(story, entry.time),
        "kind": entry.kind,
        "object": entry.object,
        "reason": entry.reason or None,
        "text": entry.text,
    }


def _client(story: Story, client: ClientStory) -> dict[str, Json]:
    spec, found = client.spec, client.summary
    return {
        "name": spec.name,
        "from": spec.source,
        "to": spec.target,
        "kind": spec.kind,
        "every_ns": spec.every,
        "timeout_ns": spec.timeout,
        "keepAlive": spec.keeps,
        "sent": found.sent,
        "answered": found.answered,
        "lost": found.lost,
        "outcomes": dict(found.outcomes),
        "resets": found.resets,
        "connections": found.connections,
        "slowest_ns": found.slowest,
        "ended_at": dict(found.servers),
        "blackhole_ms": found.longest // _MS,
        "windows": [_window(story, each) for each in found.windows],
        "outage_ms": found.longest_outage // _MS,
        "outages": [_outage(story, each) for each in found.outages],
        "failure": client.failure or None,
    }


def _window(story: Story, window: Window) -> dict[str, Json]:
    return {
        "begin_ns": window.begin,
        "end_ns": window.end,
        "duration_ms": window.duration // _MS,
        **_since(story, window.begin),
        "is_open": window.is_open,
        "lost": window.lost,
        "packets_lost": window.packets,
        "outcomes": dict(window.outcomes),
        "drops": [
            {"reason": reason or None, "where": where, "packets": count}
            for (reason, where), count in window.drops.items()
        ],
    }


def _outage(story: Story, outage: Outage) -> dict[str, Json]:
    return {
        **_window(story, outage.window),
        "sent": outage.sent,
        "blackholes": len(outage.blackholes),
        "blackhole_ms": max(each.duration for each in outage.blackholes) // _MS,
    }
