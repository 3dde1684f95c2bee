# SPDX-License-Identifier: GPL-2.0-only
"""`emu diff`: the flows that would fare otherwise, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import click
from click.core import ParameterSource

from emu.cli import notes, options, source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.source import Source
    from emu.kube.api.objects import Object
    from emu.verify.difference import Difference

_MOST = 20_000


@attrs.frozen
class _Reading:
    """How inputs are read and built."""

    recursive: bool
    validate: str
    seed: int | None
    epoch: str | None


@click.command()
@source.files(required=False)
@source.reading
@click.option(
    "--with", "second", multiple=True, type=options.FileName(), metavar="PATH", help="The second input."
)
@click.option(
    "--apply",
    "applied",
    multiple=True,
    type=options.FileName(),
    metavar="FILE",
    help="Manifests to apply to the living cluster.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another value in the Cluster document."
)
@click.option("--from", "sources", multiple=True, metavar="WHO", help="Only flows from: shop/*, ext/laptop.")
@click.option("--to", "targets", multiple=True, metavar="WHOM", help="Only flows to: svc/shop/web, node/*.")
@click.option("--only-changes", is_flag=True, help="Without the flows that fare as before.")
@click.option(
    "--max-questions",
    "most",
    type=click.IntRange(min=1),
    default=_MOST,
    show_default=True,
    metavar="N",
    help="Of each cluster; with more nothing is asked.",
)
@click.option("--brute-force", is_flag=True, help="Ask every pod, even those proved to be alike.")
@click.option(
    "--payload",
    type=click.IntRange(min=0, max=1_000_000),
    default=0,
    metavar="N",
    help="Octets that have to arrive, too; so it asks for MTUs.",
)
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; else one a processor."
)
@click.option("--exit-code", is_flag=True, help="Exit status 1 if a flow changes.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "md"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
@click.argument("files", nargs=-1, type=options.FileName(), metavar="[A B]")
@click.pass_context
def diff(
    context: click.Context,
    /,
    filename: tuple[str, ...],
    second: tuple[str, ...],
    applied: tuple[str, ...],
    settings: tuple[str, ...],
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    only_changes: bool,
    most: int,
    brute_force: bool,
    payload: int,
    jobs: int | None,
    exit_code: bool,
    form: str,
    files: tuple[str, ...],
    **reading: object,
) -> int:
    """Tell which flows would fare otherwise, and why: `emu diff -f cluster/ --apply policy.yaml`.

    Two inputs are compared (`emu diff A B`, -f A -f B, -f A --with B), or one with
    itself after --apply FILE or --set KEY=VALUE (network.provider=flannel,
    kubeProxy.mode=none).

    All workloads ask all Services and each other on the ports they have, DNS
    among them, and hosts outside ask node ports and external addresses: with
    real packets, in both clusters. Pods of a workload that agree are one line.
    Of URLs those are asked that `expect` lines name.
    """
    if context.get_parameter_source("filename") is ParameterSource.ENVIRONMENT and len(files) > 1:
        filename = ()  # two inputs are named: the usual one is not meant
    first, second = _inputs(filename, second, files, is_changed=bool(applied or settings))
    how = _Reading(**reading)  # type: ignore[arg-type]  # click's values, of `source.reading`
    before, after = _clusters(first, second, settings, how)
    if applied:
        known = len(after.warnings)
        after.apply(*_objects(applied, how))
        notes.tell(after.warnings[known:])
    difference = _compare(
        before, after, sources, targets, most=most, brute_force=brute_force, jobs=jobs, payload=payload
    )
    _write(difference, form, only_changes=only_changes)
    return 1 if exit_code and difference.changed else 0


def _inputs(
    first: tuple[str, ...], second: tuple[str, ...], files: tuple[str, ...], *, is_changed: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is compared with what; no second input where the first one is changed.

    Raises:
        UsageError: that is not said, or said twice.
    """
    if len(files) > 2 or (first and len(files) > 1):
        raise click.UsageError("two inputs are compared: A B, or -f A --with B")
    if not first:
        first, files = files[:1], files[1:]
    second = (*second, *files)
    if not first:
        raise click.UsageError("Missing option '-f' / '--filename'.")
    if not second and not is_changed:
        if len(first) != 2:
            raise click.UsageError("compared with what? --with PATH, --apply FILE or --set KEY=VALUE")
        first, second = first[:1], first[1:]
    if second and is_changed:
        raise click.UsageError("--apply and --set change the first input, so a second one is too much")
    return first, second


def _clusters(
    first: Sequence[str], second: Sequence[str], settings: Sequence[str], how: _Reading
) -> tuple[Cluster, Cluster]:
    """Return both clusters, built; --apply is left to be done."""
    from emu.cluster.source import source_of
    from emu.cluster.sources import read_all
    from emu.cluster.topology.settings import with_settings

    documents = read_all(first, recursive=how.recursive)
    before = source_of(documents, first[0], validate=how.validate)
    if second:
        after = source_of(read_all(second, recursive=how.recursive), second[0], validate=how.validate)
    elif settings:
        after = source_of(with_settings(documents, settings), first[0], validate=how.validate)
    else:
        after = before
    first_one = _start(before, how)
    notes.tell_warnings(before.warnings)
    notes.tell(first_one.warnings)
    second_one = _start(after, how)
    notes.tell_warnings([each for each in after.warnings if each not in before.warnings])
    notes.tell(second_one.warnings, known=first_one.warnings)
    return first_one, second_one


def _start(given: Source, how: _Reading) -> Cluster:
    """Return the cluster that an input describes."""
    from emu.cluster.cluster import Cluster

    found = given.start(seed=how.seed, epoch=source.instant_of(how.epoch))
    if not isinstance(found, Cluster):
        raise click.UsageError("this verb needs clusters: a low-level network has no objects of Kubernetes")
    return found


def _objects(files: Sequence[str], how: _Reading) -> tuple[Object, ...]:
    """Return the objects that are to be applied.

    Raises:
        DocumentError: the files cannot be read or have faults.
        UsageError: they hold what no API server takes.
    """
    from emu.cluster.sources import read_all
    from emu.cluster.topology import load_topology
    from emu.kube.api.objects import Node
    from emu.kube.api.validation import Mode

    found = load_topology(read_all(files, recursive=how.recursive), Mode(how.validate))
    notes.tell_warnings(found.warnings)
    is_more = found.has_cluster or found.fabric.external or found.steps
    if is_more or any(isinstance(each, Node) for each in found.objects):
        raise click.UsageError("--apply takes objects of Kubernetes but Nodes; --with PATH compares all else")
    return found.objects


def _compare(
    before: Cluster,
    after: Cluster,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    most: int,
    brute_force: bool,
    jobs: int | None,
    payload: int,
) -> Difference:
    from emu.cli.progress import progress
    from emu.verify.difference import compare
    from emu.verify.jobs import processors

    with progress("asking") as tell:
        found = compare(
            before,
            after,
            sources=sources,
            targets=targets,
            most=most,
            brute_force=brute_force,
            jobs=jobs or processors(),
            payload=payload,
            progress=tell,
        )
    if not found.rows:
        if sources or targets:
            raise click.UsageError("no flow is meant: nobody there is called so, or has a port")
        click.echo(f"there are no flows: {_lacking(before, after)}", err=True)
    return found


def _lacking(before: Cluster, after: Cluster) -> str:
    """Return what inputs lack so that nothing can be asked of them, and how it is given."""
    from emu.kube.api.objects import Pod
    from emu.kube.dns.addon import NAMESPACE

    pods = (pod for each in (before, after) for pod in each.store.each(Pod))
    if any(pod.metadata.namespace != NAMESPACE for pod in pods):
        return "no pod has a network"
    return (
        "neither input has pods; name manifests with each, too: "
        "emu diff -f A -f shop.yaml --with B --with shop.yaml"
    )


def _write(difference: Difference, form: str, *, only_changes: bool) -> None:
    from emu.verify.difference import report

    if form == "json":
        import json

        click.echo(json.dumps(report.report(difference, only_changes=only_changes), indent=2))
    elif form == "md":
        click.echo(report.markdown(difference, only_changes=only_changes))
    else:
        if difference.changed or (difference.rows and not only_changes):
            click.echo(report.text(difference, only_changes=only_changes))
        click.echo(report.summary(difference), err=True)
