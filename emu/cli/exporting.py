# SPDX-License-Identifier: GPL-2.0-only
"""`emu export`: what was built, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from emu.cli.source import Input

_NOT_YET: Final = ("graph", "pcap")


def _modelled(_context: click.Context, _parameter: click.Parameter, what: str) -> str:
    """Refuse what is known by name alone, whatever else is missing."""
    if what in _NOT_YET:
        raise click.UsageError(f"export {what} is not modelled yet")
    return what


@click.command()
@click.argument("what", type=click.Choice(["network", *_NOT_YET]), is_eager=True, callback=_modelled)
@source.given
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    type=options.FileName(),
    metavar="DIR",
    help="The folder for scenario.yaml and its rules files.",
)
def export(what: str, given: Input, target: str) -> None:
    """Write a network document of a cluster: `emu export network -f demo.yaml -o demo`.

    It has all namespaces with their devices, addresses, routes, rules and
    settings as they are when the cluster is at rest. `emu run demo/scenario.yaml`
    builds them again; so does whoever can read the format, on a real kernel.

    What stands in for something, and what is left out, is told by name, here
    and at the head of the document.
    """
    from emu.cluster.cluster import Cluster
    from emu.cluster.network.exporting.exporter import export as export_network
    from emu.cluster.network.exporting.exporter import write_export

    del what  # there is one kind
    emulation = given.start()
    name = emulation.topology.cluster.name if isinstance(emulation, Cluster) else ""
    exported = export_network(emulation, name=name)
    write_export(exported, ", ".join(given.names), Path(target))
    for title, lines in (("stand-ins", exported.remarks.invented), ("left out", exported.remarks.left_out)):
        for line in lines:
            click.echo(f"{title}: {line}", err=True)
