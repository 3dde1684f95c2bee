# SPDX-License-Identifier: GPL-2.0-only
"""`emu send`: put frames into a running network and see what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emu.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@options.filename
@options.seed
@options.write
@click.option("-i", "point", required=True, metavar="POINT", help="The device: NS/DEVICE.")
@click.option("--frame", "frames", multiple=True, metavar="HEX", help="Octets of a frame; may be repeated.")
@click.option(
    "--scapy", "expressions", multiple=True, metavar="EXPR", help="Layers joined by /, in Scapy's words."
)
@click.option("--pcap", "file", metavar="FILE", help="All frames of a capture file, with their intervals.")
@click.option("--out", is_flag=True, help="Send out of the device onto its cable, not into it.")
@click.option("--wait", type=click.FloatRange(0, 3600), default=1.0, help="Seconds to watch (1).")
def send(
    filename: str,
    seed: int,
    output: str | None,
    point: str,
    frames: tuple[str, ...],
    expressions: tuple[str, ...],
    file: str | None,
    out: bool,
    wait: float,
) -> int:
    """Inject frames at POINT as if they had arrived there, then print what came back by it.

    Expressions are parsed, never evaluated; a field left out is never taken
    from this machine.
    """
    from emu.cli.capture import print_lines
    from emu.cli.output import write_capture
    from emu.observe.record import Direction

    injected = list(_frames(frames, expressions, file))
    if not injected:
        raise click.UsageError("nothing to send: give --frame, --scapy or --pcap")
    network = options.load(filename, seed)
    back = Direction.IN if out else Direction.OUT
    with network.capture(point) as recorded:
        first = injected[0][0]
        start = network.fabric.loop.now
        for instant, octets in injected:
            network.wait_until(start + instant - first)
            network.inject(point, octets, outwards=out)
        network.settle(wait)
    recorded.capture.keep(lambda frame: frame.direction is back)
    if output is None:
        print_lines(recorded)
    else:
        write_capture(output, recorded.capture, network.fabric)
    return 0


def _frames(
    frames: tuple[str, ...], expressions: tuple[str, ...], file: str | None
) -> Iterator[tuple[int, bytes]]:
    """Yield what is to be sent and when, in ns."""
    from emu.errors import CaptureFileError
    from emu.observe.capture_file import read_capture
    from emu.wire.expression import parse_frame

    for text in frames:
        yield 0, parse_frame("hex:" + text.removeprefix("hex:"))
    for text in expressions:
        yield 0, parse_frame(text)
    if file is not None:
        try:
            with Path(file).open("rb") as stream:
                for frame in read_capture(stream):
                    yield frame.time_ns, frame.octets
        except OSError as error:
            raise CaptureFileError(f"{file}: {error.strerror}") from None
        except CaptureFileError as error:
            raise CaptureFileError(f"{file}: {error}") from None
