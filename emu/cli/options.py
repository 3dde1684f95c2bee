# SPDX-License-Identifier: GPL-2.0-only
"""Options that several verbs have, what they load, and what is said about it on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

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


seed = click.option(
    "--seed", type=int, help="Decides all that is random; in the place of the document's own."
)
write = click.option(
    "-w",
    "--write",
    "output",
    type=FileName(),
    metavar="FILE",
    help="Write a capture: pcapng, or pcap by its name.",
)


def tell_unexpected(outcomes: Iterable[str]) -> None:
    """Say which steps had an outcome that the document does not expect."""
    for line in outcomes:
        click.echo(f"not as expected: {line}", err=True)


def tell_unobeyed(fabric: Fabric, *, is_cluster: bool = False) -> None:
    """Say which settings were changed to no effect, and which rules ask what nobody can answer.

    What a cluster's own programs set for IPv6 is passed over: it is not there at all.
    """
    from emu.cluster.network.modelled import unknown_rules, unobeyed

    names = unobeyed(fabric)
    if is_cluster:
        names = [name for name in names if not name.startswith("net.ipv6.")]
    if names:
        click.echo(f"not modelled, so without effect: {', '.join(names)}", err=True)
    if rules := unknown_rules(fabric):
        click.echo(f"not modelled, so UNKNOWN where a packet comes to it: {', '.join(rules)}", err=True)
