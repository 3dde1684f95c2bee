# SPDX-License-Identifier: GPL-2.0-only
"""`emu exec`: a command in a namespace, in the state after the document's last step."""

from __future__ import annotations

import click

from emu.cli import options


@click.command(context_settings={"ignore_unknown_options": True})
@options.filename
@options.seed
@click.argument("target")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(filename: str, seed: int, target: str, command: tuple[str, ...]) -> int:
    """Run COMMAND in the namespace TARGET: `emu exec -f lab.yaml pod1 -- ip route`.

    The exit status is that of COMMAND.
    """
    network = options.load(filename, seed)
    finished = network.namespace(target).execute(command)
    click.echo(finished.stdout, nl=False)
    click.echo(finished.stderr, nl=False, err=True)
    options.tell_unobeyed(network.fabric)
    return finished.status
