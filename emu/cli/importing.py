# SPDX-License-Identifier: GPL-2.0-only
"""`emu import`: a network document from dumps of real nodes."""

from __future__ import annotations

from pathlib import Path

import click

from emu.cli import options


@click.command()
@click.argument("folder", metavar="DIR", type=options.FileName())
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    type=options.FileName(),
    metavar="FILE",
    help="The document to write; rules files go beside it.",
)
def import_(folder: str, target: str) -> None:
    """Make a network document of the dumps in DIR: `emu import dumps -o network.yaml`.

    DIR/NODE/ holds any of iptables-save.txt, ip-addr.json (`ip -j addr`),
    ip-link.json (`ip -d -j link`), ip-route.json (`ip -j route show table all`),
    ip-rule.json, ip-neigh.json, bridge-fdb.json (`bridge -j fdb`), nft.txt,
    ipset.txt, sysctl.txt and conntrack.txt.

    What nobody recorded and had to be invented, and what is left out, is told
    by name, here and at the head of the document.
    """
    from emu.cluster.network.importing.importer import import_nodes, write_import

    imported = import_nodes(Path(folder))
    write_import(imported, folder, Path(target))
    for title, lines in (("invented", imported.remarks.invented), ("left out", imported.remarks.left_out)):
        for line in lines:
            click.echo(f"{title}: {line}", err=True)
