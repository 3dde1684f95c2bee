# SPDX-License-Identifier: GPL-2.0-only
"""`emu capture`: run something and record the frames that pass meanwhile."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cli.source import Input
    from emu.cluster.recorded import Recorded

_COMMAND = "command"


class _Recorder(click.Command):
    """Takes what stands behind `--` as the command to run, before options are parsed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_COMMAND] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


@click.command(cls=_Recorder, options_metavar="[OPTIONS]")
@source.given
@source.namespace
@options.write
@click.option("-i", "points", multiple=True, metavar="POINT", help="NS/DEVICE, * in it, or any (default).")
@click.option("-c", "count", type=click.IntRange(min=1), metavar="N", help="Keep no more than N frames.")
@click.option("-e", "link_header", is_flag=True, help="Print MAC addresses, too.")
@click.option("--races", is_flag=True, help="Packets overtake each other meanwhile, drawn from the seed.")
@click.option("--split", is_flag=True, help="Write a file for each point, FILE with its name in it.")
@click.argument("expression", nargs=-1, metavar="[EXPRESSION]... -- [exec] TARGET [--] COMMAND...")
@click.pass_context
def capture(
    ctx: click.Context,
    given: Input,
    namespace: str,
    output: str | None,
    points: tuple[str, ...],
    count: int | None,
    link_header: bool,
    races: bool,
    split: bool,
    expression: tuple[str, ...],
) -> int:
    """Record while a command runs: `emu capture -f lab.yaml icmp -- exec pod1 -- ping 10.0.0.2`.

    What follows `--` is `exec TARGET -- COMMAND` (or just TARGET COMMAND).
    EXPRESSION is a pcap filter. Without -w the frames are printed as tcpdump
    prints them; the exit status is the command's.
    """
    from emu.cli.output import STDOUT, opened
    from emu.verify.explainer import Explainer

    target, command = _target(ctx.meta[_COMMAND])
    if split and output in (None, STDOUT):
        raise click.UsageError("--split needs files: give -w a name")
    network = given.start()
    host = network.host(target, namespace=namespace)
    wanted = [network.point(each, namespace) for each in points]
    with (
        network.capture(
            *wanted, condition=" ".join(expression), limit=count, explainer=Explainer(network)
        ) as recorded,
        ExitStack() as files,
    ):
        parts = _names(output, recorded.capture.points) if split else [output]
        sinks = [files.enter_context(opened(name)) for name in parts]
        if races:
            from emu.verify.racing import racing

            files.enter_context(racing(network))
        finished = host.execute(command)
        network.settle()
        for sink, part in zip(sinks, recorded.capture.split() if split else [recorded.capture], strict=True):
            if sink is not None:
                sink.write(part, network.fabric, network.names())
    click.echo(finished.stdout, nl=False, err=output in (None, STDOUT))
    click.echo(finished.stderr, nl=False, err=True)
    if output is None:
        print_lines(recorded, link_header=link_header)
    options.tell_unobeyed(network.fabric, is_cluster=network.is_cluster)
    return finished.status


def _target(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the namespace and the command line that `words` name."""
    rest = list(words)
    if rest[:1] == ["exec"]:
        rest = rest[1:]
        if rest[1:2] == ["--"]:
            del rest[1]
    if len(rest) < 2:
        raise click.UsageError("what is to run? (-- exec TARGET -- COMMAND...)")
    return rest[0], rest[1:]


def print_lines(recorded: Recorded, *, link_header: bool = False) -> None:
    """Print frames in tcpdump's words, each with the point it was seen at."""
    from emu.observe.lines import LinePrinter

    printer = LinePrinter(link_header=link_header)
    points = [f"{device}@{owner}" for owner, device in recorded.capture.points]
    width = max(map(len, points), default=0)
    for frame in recorded.capture.frames:
        way = frame.direction.name.lower()
        click.echo(f"{points[frame.point]:<{width}} {way:<3} {printer.line(frame)}")


def _names(output: str | None, points: Sequence[tuple[str, str]]) -> list[str]:
    """Return a file name for each point: `lab.pcapng` becomes `lab.NS.DEVICE.pcapng`, slashes dashes."""
    path = Path(output or "")
    owners = [(owner.replace("/", "-"), device) for owner, device in points]
    return [
        str(path.with_name(f"{path.stem}.{owner}.{device}{path.suffix}")) if path.name else str(path)
        for owner, device in owners
    ]
