# SPDX-License-Identifier: GPL-2.0-only
"""`emu lint`: mistakes that the objects alone show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import notes, source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cli.source import Input
    from emu.verify.lint import Finding

_FOUND = ("CIDR_OVERLAP", "NETPOL_NOT_ENFORCED", "DUP_IP")  # warnings that are findings, too


@click.command()
@source.given
@click.option(
    "--severity",
    type=click.Choice(["note", "warning", "error"]),
    default="note",
    show_default=True,
    help="The least that is told.",
)
@click.option("--exit-code", is_flag=True, help="Exit status 1 if there is a finding.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How findings are written.",
)
def lint(given: Input, severity: str, exit_code: bool, form: str) -> int:
    """Find mistakes that the objects alone show: `emu lint -f manifests/`.

    Ranges that overlap, Services and policies that select nothing, ports that
    nobody has, policies that forget DNS or mean more than they seem to. Each
    finding has its file and line, and what to do. No packet is asked: `emu diff`
    and `emu trace` do that.
    """
    from emu.cluster.cluster import Cluster
    from emu.cluster.source import source_of
    from emu.cluster.sources import read_all
    from emu.cluster.topology.places import Places
    from emu.verify.lint import CHECKS, Severity
    from emu.verify.lint import lint as findings_of

    documents = read_all(given.names, recursive=given.recursive)
    read = source_of(documents, given.names[0], validate=given.validate)
    cluster = read.start(seed=given.seed, epoch=source.instant_of(given.epoch), steps=False)
    if not isinstance(cluster, Cluster):
        raise click.UsageError("this verb needs a cluster: a low-level network has no objects of Kubernetes")
    notes.tell_warnings([each for each in read.warnings if not each.message.startswith(_FOUND)], most=None)
    notes.tell(each for each in cluster.warnings if not each.startswith(_FOUND))
    order = list(Severity)
    told = order[: order.index(Severity(severity)) + 1]
    found = [each for each in findings_of(cluster, Places(documents)) if each.severity in told]
    _write(found, form)
    if not found and form == "text":
        click.echo(f"nothing found by {len(CHECKS)} checks", err=True)
    return 1 if exit_code and found else 0


def _write(found: Sequence[Finding], form: str) -> None:
    from emu.verify.lint import report

    if form == "json":
        import json

        click.echo(json.dumps(report.report(found), indent=2))
    elif found:
        click.echo(report.github(found) if form == "github" else report.text(found))
