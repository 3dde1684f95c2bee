# SPDX-License-Identifier: GPL-2.0-only
"""`emu get` and `emu describe`: the objects of a cluster, in kubectl's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emu.cli import source

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cli.source import Input
    from emu.cluster.cluster import Cluster
    from emu.kube.tables.answer import Answer

_SELECTION = (
    source.namespace,
    click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces."),
    click.option(
        "-l", "--selector", default="", metavar="LABELS", help="Objects with labels: a=b,c!=d,e in (f,g)."
    ),
)


def _selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the options that choose objects."""
    for option in reversed(_SELECTION):
        command = option(command)
    return command


@click.command()
@source.given
@_selection
@click.option(
    "-o", "--output", default="", metavar="FORM", help="wide, json, yaml, name, jsonpath=, custom-columns=."
)
@click.option("-L", "--label-columns", multiple=True, metavar="LABEL", help="A column for each.")
@click.option("--show-labels", is_flag=True, help="All labels in a last column.")
@click.option("--no-headers", is_flag=True, help="No line with the columns' names.")
@click.option("--sort-by", default="", metavar="JSONPATH", help="In the order of a field.")
@click.option(
    "--field-selector", default="", metavar="FIELDS", help="Objects with fields: status.phase=Running."
)
@click.option("--ignore-not-found", is_flag=True, help="A missing object is no error.")
@click.option("--show-managed-fields", is_flag=True, help="Keep managedFields in json and yaml.")
@click.argument("words", nargs=-1, metavar="KIND[,KIND]... [NAME]... | KIND/NAME...")
def get(given: Input, words: tuple[str, ...], **chosen: Any) -> int:  # noqa: ANN401 - click's values
    """Print objects as kubectl does: `emu get pods -o wide -f lab.yaml`."""
    from emu.kube.tables.get import get as answer_get
    from emu.kube.tables.request import Options, parse

    chosen["label_columns"] = tuple(
        label for each in chosen["label_columns"] for label in each.split(",") if label
    )
    request = parse(words, Options(**chosen))
    cluster = given.start_cluster()
    return _tell(answer_get(request, cluster.store, now=_now(cluster), version=_version(cluster)))


@click.command()
@source.given
@_selection
@click.option(
    "--show-events/--no-events", default=True, help="With the events about each object, or without."
)
@click.argument("words", nargs=-1, metavar="KIND [NAME]... | KIND/NAME...")
def describe(given: Input, words: tuple[str, ...], **chosen: Any) -> int:  # noqa: ANN401 - click's values
    """Tell all about objects as kubectl does: `emu describe svc web -f lab.yaml`."""
    from emu.kube.tables.describe import describe as answer_describe
    from emu.kube.tables.request import Options, parse

    request = parse(words, Options(**chosen), verb="describe")
    cluster = given.start_cluster()
    return _tell(answer_describe(request, cluster.store, now=_now(cluster), version=_version(cluster)))


def _now(cluster: Cluster) -> int:
    return cluster.epoch + cluster.fabric.loop.now


def _version(cluster: Cluster) -> str:
    return cluster.topology.cluster.kubernetes


def _tell(answer: Answer) -> int:
    click.echo(answer.stdout, nl=False)
    click.echo(answer.stderr, nl=False, err=True)
    return answer.status
