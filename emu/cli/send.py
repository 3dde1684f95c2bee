# SPDX-License-Identifier: GPL-2.0-only
"""`emu send`: put frames into a running network and see what comes back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from emu.cli import options, source
from emu.sim.time import SECOND, Duration, later, to_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.cli.source import Input
    from emu.cluster.emulation import Emulation


_LONGEST_PAUSE: Final = 86_400 * SECOND  # between frames of a file; all of it has to be lived through
_MOST_TOLD: Final = 100


def _number(_: click.Context, __: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is no number")
    return value


@click.command()
@source.given
@options.write
@click.option("-i", "point", required=True, metavar="POINT", help="The device: NS/DEVICE.")
@click.option("--frame", "frames", multiple=True, metavar="HEX", help="Octets of a frame; may be repeated.")
@click.option(
    "--scapy", "expressions", multiple=True, metavar="EXPR", help="Layers joined by /, in Scapy's words."
)
@click.option(
    "--pcap",
    "file",
    type=options.FileName(),
    metavar="FILE",
    help="All frames of a capture file, with their intervals.",
)
@click.option("--out", is_flag=True, help="Send out of the device onto its cable, not into it.")
@click.option(
    "--wait", type=click.FloatRange(0, 3600), default=1.0, callback=_number, help="Seconds to watch (1)."
)
def send(
    given: Input,
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
    from emu.cli.output import opened
    from emu.observe.losses import Losses
    from emu.observe.record import Direction

    injected = _frames(frames, expressions, file)
    network = given.start()
    _check_lengths(network, point, injected)
    back = Direction.IN if out else Direction.OUT
    losses = Losses()
    with network.capture(point) as recorded, opened(output) as sink, network.listening(losses):
        start = network.fabric.loop.now
        for frame in injected:
            network.wait_until(later(start, max(frame.after, 0)))
            losses.packets.add(network.inject(point, frame.octets, outwards=out))
        network.settle(wait)
        recorded.capture.keep(lambda frame: frame.direction is back)
        if sink is not None:
            sink.write(recorded.capture, network.fabric, network.names())
    if output is None:
        print_lines(recorded)
    for line in losses.lines:
        click.echo(line, err=True)
    options.tell_unobeyed(network.fabric, is_cluster=network.is_cluster)
    return 0


class _Given(NamedTuple):
    """A frame that is to be sent.

    Attributes:
        place: where the user gave it.
        after: when to send it, ns after the first frame of its file; may be less than 0.
        octets: the frame.
    """

    place: str
    after: Duration
    octets: bytes


def _frames(hexadecimal: Sequence[str], expressions: Sequence[str], file: str | None) -> list[_Given]:
    """Return what is to be sent.

    Raises:
        UsageError: nothing.
        FrameSyntaxError: something cannot be read; all that cannot is told.
    """
    from emu.errors import FrameSyntaxError
    from emu.wire.expression import parse_frame

    texts = [("--frame", f"hex:{text.removeprefix('hex:')}") for text in hexadecimal]
    texts += [("--scapy", text) for text in expressions]
    given: list[_Given] = []
    faults: list[str] = []
    for option, text in texts:
        try:
            given.append(_Given(option, 0, parse_frame(text)))
        except FrameSyntaxError as error:
            faults.append(f"{option} {text!r:.60}: {error}")
    if faults:
        raise FrameSyntaxError("\n".join(faults))
    if file is not None:
        given += _of_file(file)
    if not given:
        empty = "" if file is None else f": {file} holds no frame"
        raise click.UsageError(f"nothing to send{empty or ': give --frame, --scapy or --pcap'}")
    return given


def _of_file(name: str) -> Iterator[_Given]:
    """Yield the frames of a capture file.

    Raises:
        CaptureFileError: it cannot be read.
    """
    from emu.errors import CaptureFileError
    from emu.observe.capture_file import read_capture

    first = last = None
    cut = 0
    try:
        with Path(name).open("rb") as stream:
            for number, frame in enumerate(read_capture(stream), 1):
                cut += frame.wire_length is not None
                _check_pause(number, frame.time_ns - (frame.time_ns if last is None else last))
                last = frame.time_ns
                first = last if first is None else first
                yield _Given(f"{name}: frame {number}", Duration(frame.time_ns - first), frame.octets)
    except (OSError, CaptureFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CaptureFileError(f"{name}: {reason}") from None
    if cut:
        click.echo(f"{name}: frames that were cut short when captured, and are sent so: {cut}", err=True)


def _check_pause(number: int, pause: Duration) -> None:
    from emu.errors import CaptureFileError

    if pause > _LONGEST_PAUSE:
        raise CaptureFileError(
            f"frame {number} comes {to_seconds(pause):.0f} s after the one before it;"
            f" {to_seconds(_LONGEST_PAUSE):.0f} s is the most"
        )


def _check_lengths(network: Emulation, point: str, frames: Iterable[_Given]) -> None:
    """Refuse what the device at `point` cannot have received or sent.

    Raises:
        FrameSyntaxError: a frame is too short or too long; all that are are told.
        UnknownNameError: there is no such device.
    """
    from emu.cluster.emulation import check_length
    from emu.errors import FrameSyntaxError

    _, device = network.find_device(point)
    faults: list[str] = []
    for frame in frames:
        try:
            check_length(frame.octets, device.mtu)
        except FrameSyntaxError as error:
            faults.append(f"{frame.place}: {error}")
    if faults:
        more = [f"and {len(faults) - _MOST_TOLD} more"] if len(faults) > _MOST_TOLD else []
        raise FrameSyntaxError("\n".join(faults[:_MOST_TOLD] + more))
