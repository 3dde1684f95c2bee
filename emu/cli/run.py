# SPDX-License-Identifier: GPL-2.0-only
"""`emu run`: the steps of a document, one after the other, and what came of them."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emu.cli import notes, options, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.cli.source import Input
    from emu.cluster.network.run import NetworkRun, Outcome
    from emu.cluster.network.steps import Result
    from emu.cluster.source import ClusterSource
    from emu.kernel.drops import DropReason


@click.command()
@source.given_with_files
@source.namespace
@click.option(
    "--out",
    "folder",
    type=options.FileName(),
    metavar="DIR",
    help="Write pcap/, times, frames, state and results there.",
)
@options.write
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "md"]),
    default="text",
    show_default=True,
    help="How the timeline of a cluster is written.",
)
def run(given: Input, namespace: str, folder: str | None, output: str | None, form: str) -> int:
    """Run the steps of FILE on the virtual clock, then check what it expects.

    Of a cluster the timeline is told, too: what happened when, and what the
    clients of the Scenario's `traffic` saw.

    The exit status is 1 where a program's outcome, or an `expect` line of a
    Scenario, is not met, or a step was refused. Without any line it is 1, too,
    where a program in a step failed or a pod does not run.
    """
    from emu.cli.output import STDOUT, opened
    from emu.cluster.network.run import NetworkRun
    from emu.cluster.source import ClusterSource

    found = given.source
    if isinstance(found, ClusterSource):
        return _run_cluster(found, given, namespace, folder=folder, output=output, form=form)
    if form != "text":
        raise click.UsageError("a network has no timeline: --out DIR writes its results")
    network = NetworkRun(found.document, seed=given.seed or 0)
    with opened(output) as sink, _results(folder) as write_results:
        if sink is not None:
            _explain(network)
        outcome = network.run()
        if sink is not None:
            sink.write(network.capture, network.fabric)
        write_results(network, outcome)
    click.echo(_report(network, outcome), err=output == STDOUT)
    options.tell_unexpected(outcome.unexpected)
    options.tell_unobeyed(network.fabric)
    return 1 if outcome.unexpected else 0


def _explain(network: NetworkRun) -> None:
    """Have the frames of a capture say what was decided about them."""
    from emu.cluster.network.lab import Network
    from emu.verify.explainer import Explainer

    network.capture.explainer = Explainer(Network(network))


def _run_cluster(
    found: ClusterSource, given: Input, namespace: str, *, folder: str | None, output: str | None, form: str
) -> int:
    """Build a cluster, take its steps, check what is expected, and tell what came of it."""
    from emu.cli.run_report import tell_timeline, write_report
    from emu.cli.test import check, take_steps
    from emu.kube.api.objects import Node, Pod, Service
    from emu.verify.expect.report import summary

    if folder is not None or output is not None:
        raise click.UsageError("a cluster has no steps to record: emu capture runs something and records it")
    cluster = found.start(seed=given.seed, epoch=source.instant_of(given.epoch), steps=False)
    is_text = form == "text"
    steps = take_steps(cluster, is_told=is_text)
    notes.tell(cluster.warnings)
    pods = cluster.store.list(Pod)
    waiting = [each for each in pods if not (each.is_ready or each.is_finished)]
    expected = found.topology.expects
    has_failed = steps.has_failed or bool(waiting)
    if not is_text:
        findings = [*steps.findings, *check(cluster, found, namespace, is_told=False)]
        write_report(cluster, findings, form)
        has_failed = not all(findings) or bool(steps.refusals) if expected else has_failed
        return 1 if has_failed else 0
    tell_timeline(cluster)
    counts = f"{cluster.store.count(Node)} nodes, {len(pods)} pods, {cluster.store.count(Service)} Services"
    click.echo(
        f"{found.topology.cluster.name}: {counts}, {cluster.fabric.loop.now / 1e9:.3f} s of virtual time"
    )
    for each in waiting:
        place = f"{each.metadata.namespace}/{each.metadata.name}"
        reasons = (one.message or one.reason for one in each.status.conditions if one.status == "False")
        click.echo(f"  {place}: {each.status.phase}, {next(filter(None, reasons), 'not ready')}")
    if expected:
        for said in steps.findings:
            click.echo(said.explain())
        findings = [*steps.findings, *check(cluster, found, namespace)]
        click.echo(summary(findings, steps.refusals))
        return 0 if all(findings) and not steps.refusals else 1
    return 1 if has_failed else 0


@contextmanager
def _results(folder: str | None) -> Iterator[Callable[[NetworkRun, Outcome], None]]:
    """Give what writes the results to `folder`, which is made first; without a folder it writes nothing."""
    if folder is None:
        yield lambda _network, _outcome: None
        return
    from emu.cluster.network.results import folder_for_results, write_results

    with folder_for_results(Path(folder)):
        yield lambda network, outcome: write_results(network, outcome, Path(folder))


def _report(network: NetworkRun, outcome: Outcome) -> str:
    document = network.document
    lines = [f"{document.name or document.file}: {document.title}".rstrip(": ")]
    for result in outcome.results:
        step = document.actions[result["action"]]
        where = getattr(step.action, "ns", "")
        lines.append(f"  {result['action']:>3}  {result['kind']:<12} {where:<12} {_words(result)}".rstrip())
    frames, points = len(network.capture.frames), len(network.capture.points)
    seconds = network.fabric.loop.now / 1e9
    lines.append(f"{frames} frames at {points} capture points, {seconds:.3f} s of virtual time")
    drops: Counter[DropReason] = Counter()
    for net in network.fabric.namespaces.values():
        drops += net.drops
    counts = sorted((reason.name, reason.value, count) for reason, count in drops.items())
    lines += [f"dropped: {count} {name}, {words} (emu explain {name})" for name, words, count in counts]
    return "\n".join(lines)


def _words(result: Result) -> str:
    """Return what a program saw, in a line."""
    if "hops" in result:
        return " > ".join("*" if hop is None else hop[0] for hop in result["hops"])
    if "stdout" in result:
        return "; ".join(result["stdout"])
    outcome = result.get("outcome", "")
    words = ", ".join(map(str, outcome)) if isinstance(outcome, list) else str(outcome)
    if isinstance(result.get("from"), str):
        words += f" from {result['from']}"
    if "length" in result:
        words += f", {result['length']} octets"
    return words + ("" if result.get("as_expected", True) else "  NOT AS EXPECTED")
