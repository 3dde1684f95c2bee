# SPDX-License-Identifier: GPL-2.0-only
"""`emu test`: all `expect` lines of some documents, each asked with packets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from emu.cli import notes, options, source

if TYPE_CHECKING:
    from emu.cli.source import Input
    from emu.cluster.cluster import Cluster
    from emu.cluster.source import ClusterSource
    from emu.verify.expect import Finding
    from emu.verify.expect.report import Refusal


@click.command()
@source.given_with_files
@source.namespace
@click.option(
    "--junit", "junit_file", type=options.FileName(), metavar="FILE", help="Write a report for CI servers."
)
@click.option("--github", is_flag=True, help="Mark lines that are not met, as GitHub's workflows read it.")
def test(given: Input, namespace: str, junit_file: str | None, *, github: bool) -> int:
    """Check every `expect` line of the Scenarios in FILE and -f: `emu test -f manifests/ reach.yaml`.

    A line is met if packets say so, for each pair of those that it means. NEVER
    because of a NetworkPolicy is met only if the same flow passes without the
    policies. The exit status is 0 if all lines are met, 1 if not, and 2 if the
    input is wrong.
    """
    from emu.errors import DocumentError

    try:
        return _test(given, namespace, junit_file, github=github)
    except DocumentError as error:
        if github:
            from emu.verify.expect.report import annotation_of_fault

            for fault in error.faults:
                click.echo(annotation_of_fault(fault))
        raise


def _test(given: Input, namespace: str, junit_file: str | None, *, github: bool) -> int:
    from emu.cluster.source import ClusterSource
    from emu.errors import DocumentError, Fault
    from emu.observe.output import writing
    from emu.verify.expect import report

    found = given.source
    if not isinstance(found, ClusterSource) or not found.topology.expects:
        message = "nothing is expected: a Scenario has spec.expect, a list of FROM -> TO VERDICT"
        raise DocumentError([Fault(given.names[0], 1, "$", message)])
    cluster = found.start(seed=given.seed, epoch=source.instant_of(given.epoch), steps=False)
    steps = take_steps(cluster)
    refusals = steps.refusals
    notes.tell(cluster.warnings)
    for refused in refusals:
        click.echo(refused.explained)
    for said in steps.findings:
        click.echo(said.explain())
    findings = [*steps.findings, *check(cluster, found, namespace)]
    click.echo(report.summary(findings, refusals))
    if github:
        for line in report.workflow_commands(findings, refusals):
            click.echo(line)
    if junit_file is not None:
        with writing(Path(junit_file)) as stream:
            stream.write(report.junit(findings, refusals))
    return 0 if all(findings) and not refusals else 1


@attrs.frozen
class Steps:
    """What came of steps.

    Attributes:
        refusals: those that could not be done. A program that fails is none: it may be meant to.
        has_failed: one of them was refused, or a program failed of which nothing else was expected.
        findings: whether those printed what they were expected to print of which something was.
    """

    refusals: tuple[Refusal, ...]
    has_failed: bool
    findings: tuple[Finding, ...] = ()


def take_steps(cluster: Cluster, *, is_told: bool = False) -> Steps:
    """Take the steps of a cluster's scenarios; with `is_told` print them."""
    from emu.verify.expect.report import Refusal
    from emu.verify.expect.step_output import check_output

    refusals = []
    findings = []
    has_failed = False
    for step, finished in cluster.play():
        words = " ".join(step.words)
        if is_told:
            click.echo(f"{cluster.fabric.loop.now / 1e9:.3f} s $ {words}")
            click.echo(finished.stdout, nl=False)
            click.echo(finished.stderr, nl=False, err=True)
        if step.said is not None:
            findings.append(check_output(step.said, finished))
            continue
        has_failed |= finished.status != 0
        if finished.status and step.words[0] != "exec":
            told = (finished.stderr or finished.stdout).strip()
            refusals.append(Refusal(words, told, step.file, step.line))
    return Steps(tuple(refusals), has_failed, tuple(findings))


def check(cluster: Cluster, found: ClusterSource, namespace: str, *, is_told: bool = True) -> list[Finding]:
    """Check what a document expects, print each finding when it is there, and return them."""
    from itertools import chain

    from emu.verify.expect import Checker
    from emu.verify.expect.traffic import check_traffic

    findings = []
    story, lines = cluster.story, found.topology.seen
    seen = check_traffic(story, lines) if story is not None else ()
    for each in chain(seen, Checker(cluster, namespace=namespace).check_all(found.topology.expectations)):
        if is_told:
            click.echo(each.explain())
        findings.append(each)
    return findings
