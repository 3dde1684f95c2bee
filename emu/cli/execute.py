# SPDX-License-Identifier: GPL-2.0-only
"""`emu exec`: a command in a pod, on a node, in a namespace, after the document's last step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from emu.cli.source import Input


class _Exec(click.Command):
    """Takes options behind TARGET for its own where `--` says that the command comes later."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = "--" in args
        return super().parse_args(ctx, args)


@click.command(cls=_Exec)
@source.given
@source.namespace
@click.option("-c", "--container", default="", metavar="NAME", help="Of a pod; the first one where absent.")
@click.argument("target")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(given: Input, namespace: str, container: str, target: str, command: tuple[str, ...]) -> int:
    """Run COMMAND where TARGET is: `emu exec -f lab.yaml node/worker-1 -- ip route`.

    TARGET is a pod (POD, NS/POD, deploy/NAME), node/NAME or ext/NAME; in a
    network document, a namespace. The exit status is that of COMMAND.
    """
    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    emulation = given.start()
    finished = emulation.host(target, namespace=namespace, container=container).execute(argv)
    click.echo(finished.stdout, nl=False)
    click.echo(finished.stderr, nl=False, err=True)
    options.tell_unobeyed(emulation.fabric, is_cluster=emulation.is_cluster)
    return finished.status
