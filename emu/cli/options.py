# SPDX-License-Identifier: GPL-2.0-only
"""Options that several verbs have, what they load, and what is said about it on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.network.lab import Network
    from emu.cluster.network.run import NetworkRun
    from emu.fabric.driver import Fabric


class FileName(click.types.StringParamType):
    """A name as it is, but not empty; one from the environment may have spaces in it."""

    name = "file name"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a name without a letter."""
        if not value:
            self.fail("a file name has one letter at least", param, ctx)
        return str(value)

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return what the environment has as one name."""
        return [rv]


def _one_file(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> str:
    """Refuse a second network document: to take the last in silence would be worse."""
    if len(value) > 1:
        raise click.BadParameter("one network document is all that can be taken")
    return value[0]


filename = click.option(
    "-f",
    "--filename",
    required=True,
    multiple=True,
    type=FileName(),
    callback=_one_file,
    envvar="EMU_TOPOLOGY",
    metavar="PATH",
    help="Network document; EMU_TOPOLOGY where absent.",
)
seed = click.option("--seed", type=int, default=0, show_default=True, help="Decides all that is random.")
write = click.option(
    "-w",
    "--write",
    "output",
    type=FileName(),
    metavar="FILE",
    help="Write a capture: pcapng, or pcap by its name.",
)


def load_run(path: str, seed: int) -> NetworkRun:
    """Return the network in the document at `path`, built and not yet run.

    Raises:
        DocumentError: it cannot be read, or has faults.
    """
    from emu.cluster.network.modelled import CHECKS
    from emu.cluster.network.reader import load_network
    from emu.cluster.network.run import NetworkRun

    return NetworkRun(load_network(Path(path), CHECKS), seed=seed)


def load(path: str, seed: int) -> Network:
    """Return the network in the document at `path`, after its last step; say what went wrong in a step.

    Raises:
        DocumentError: it cannot be read, or has faults.
    """
    from emu.cluster.network import lab

    network = lab.load(path, seed=seed)
    tell_unexpected(network.unexpected)
    return network


def tell_unexpected(outcomes: Iterable[str]) -> None:
    """Say which steps had an outcome that the document does not expect."""
    for line in outcomes:
        click.echo(f"not as expected: {line}", err=True)


def tell_unobeyed(fabric: Fabric) -> None:
    """Say which settings were changed to no effect, and which rules ask what nobody can answer."""
    from emu.cluster.network.modelled import unknown_rules, unobeyed

    if names := unobeyed(fabric):
        click.echo(f"not modelled, so without effect: {', '.join(names)}", err=True)
    if rules := unknown_rules(fabric):
        click.echo(f"not modelled, so UNKNOWN where a packet comes to it: {', '.join(rules)}", err=True)
