# SPDX-License-Identifier: GPL-2.0-only
"""`emu probe`: many questions at once, each answered by real packets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cli.source import Input
    from emu.verify.probing.answer import Answer

_MOST_OCTETS = 256 << 20


@click.command()
@source.given
@source.namespace
@click.option(
    "--probes",
    "name",
    required=True,
    type=options.FileName(),
    metavar="FILE",
    help="The questions: a JSON list of objects, or an object a line; - for standard input.",
)
@click.option("--listen", type=click.Choice(["all"]), help="Every pod listens on every port asked.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; else one a processor."
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answers are written.",
)
def probe(given: Input, namespace: str, name: str, listen: str | None, jobs: int | None, form: str) -> int:
    """Answer many questions, each from the same state: `emu probe -f shop/ --probes probes.json`.

    A question is {"id": "1", "from": "x/a", "to": "y/b", "port": 80, "protocol":
    "TCP", "via": "service"}; `from` and `to` are end points, a workload means
    each of its pods. With "at": "node/NAME" a first packet is judged by the
    rules of that node alone, arriving on "iif" (or sent by the node itself).
    """
    from emu.cli.progress import progress
    from emu.verify.jobs import processors
    from emu.verify.probing.ask import ask_all
    from emu.verify.probing.probe import read_probes

    probes = read_probes(name, _text(name), listen_all=listen == "all")
    network = given.start()
    with progress("asking") as told:
        answers = ask_all(network, probes, namespace=namespace, jobs=jobs or processors(), told=told)
    if form == "json":
        click.echo(_as_json(answers))
    else:
        for answer in answers:
            click.echo(_line(answer))
    options.tell_unobeyed(network.fabric, is_cluster=network.is_cluster)
    return 0


def _text(name: str) -> str:
    """Return what a file holds.

    Raises:
        DocumentError: it cannot be read, or is too long.
    """
    import sys
    from pathlib import Path

    from emu.errors import DocumentError, Fault

    try:
        if name == "-":
            octets = sys.stdin.buffer.read(_MOST_OCTETS + 1)
        else:
            with Path(name).open("rb") as stream:
                octets = stream.read(_MOST_OCTETS + 1)
    except OSError as error:
        raise DocumentError([Fault(name, 1, "$", f"cannot be read: {error.strerror}")]) from None
    if len(octets) > _MOST_OCTETS:
        raise DocumentError([Fault(name, 1, "$", f"has more than {_MOST_OCTETS >> 20} MiB")])
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise DocumentError([Fault(name, line, "$", "is no UTF-8 text")]) from None


def _as_json(answers: Sequence[Answer]) -> str:
    """Return the list, an answer a line."""
    lines = ",\n".join(f"  {json.dumps(each.as_json())}" for each in answers)
    return f"[\n{lines}\n]" if lines else "[]"


def _line(answer: Answer) -> str:
    """Return an answer for people: `1  SOMETIMES 1/2  refused  NO_SOCKET`."""
    words = answer.as_json()
    share = f" {words['delivered']}" if words["verdict"] == "SOMETIMES" else ""
    found = [answer.id, f"{words['verdict']}{share}"]
    if answer.first_packet is not None:
        found += [f"{where} {odds}" for where, odds in answer.first_packet.endpoints.items()]
    elif answer.failure is not None:
        found += [answer.failure.result.value, str(words["reason"] or "")]
    return "  ".join([*found, *answer.unknown]).rstrip()
