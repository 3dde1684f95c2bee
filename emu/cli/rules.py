# SPDX-License-Identifier: GPL-2.0-only
"""`emu rules`: the rules that a node has, as text for people and tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from emu.cli.source import Input

_COMMANDS = {"iptables-save": ["iptables-save"], "nft": ["nft", "list", "ruleset"]}


@click.command()
@source.given
@click.option(
    "--as",
    "form",
    type=click.Choice(["iptables-save", "iptables-restore", "nft"]),
    default="iptables-save",
    show_default=True,
    help="As that tool prints them, or (iptables-restore) the lines as kube-proxy writes them.",
)
@click.argument("node")
def rules(given: Input, form: str, node: str) -> int:
    """Print the rules of NODE: `emu rules worker-1 -f lab.yaml`."""
    cluster = given.start_cluster()
    host = cluster.node(node.removeprefix("node/"))
    if form == "iptables-restore":
        proxy = cluster.proxies.proxies.get(node.removeprefix("node/"))
        click.echo("" if proxy is None else proxy.plane.text(), nl=False)
        return 0
    finished = host.execute(_COMMANDS[form])
    click.echo(finished.stdout, nl=False)
    click.echo(finished.stderr, nl=False, err=True)
    options.tell_unobeyed(cluster.fabric, is_cluster=cluster.is_cluster)
    return finished.status
