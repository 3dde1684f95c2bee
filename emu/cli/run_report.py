# SPDX-License-Identifier: GPL-2.0-only
"""What `emu run` writes of a cluster's timeline: text, JSON or Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.verify.expect import Finding


def tell_timeline(cluster: Cluster) -> None:
    """Print the timeline, if there was anything to happen."""
    from emu.cluster.timeline import telling

    story = cluster.story
    words = telling.text(story) if story is not None and (story.steps or story.clients) else ""
    if words:
        click.echo(words)


def write_report(cluster: Cluster, findings: Sequence[Finding], form: str) -> None:
    """Print all of it as one document: JSON, or (`md`) Markdown."""
    from emu.cluster.timeline import telling
    from emu.cluster.timeline.report import report

    story = cluster.story
    assert story is not None, "its steps were taken"
    if form == "md":
        lines = [f"# {cluster.topology.cluster.name}", "", telling.markdown(story)]
        if findings:
            lines += ["", "## Expected", "", *(f"* {each.line}" for each in findings)]
        click.echo("\n".join(lines))
        return
    found = report(story, name=cluster.topology.cluster.name, seed=cluster.fabric.streams.seed)
    found["expectations"] = [
        {
            "text": each.expectation.text,
            "met": each.is_met,
            "got": each.got,
            "reason": each.reason or None,
            "words": each.words or None,
        }
        for each in findings
    ]
    click.echo(json.dumps(found, indent=2))
