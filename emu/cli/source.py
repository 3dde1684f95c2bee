# SPDX-License-Identifier: GPL-2.0-only
"""`-f` and the options beside it: what the verbs work on."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import attrs
import click

from emu.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.cluster import Cluster
    from emu.cluster.emulation import Emulation
    from emu.cluster.source import Source


@attrs.define(eq=False)
class Input:
    """What was given on the command line, read when it is first needed."""

    names: tuple[str, ...]
    recursive: bool = False
    validate: str = "strict"
    seed: int | None = None
    epoch: str | None = None
    _source: Source | None = attrs.field(default=None, init=False)

    @property
    def source(self) -> Source:
        """What the files say.

        Raises:
            DocumentError: they cannot be read, or have faults.
        """
        if self._source is None:
            from emu.cluster.source import read_source

            self._source = read_source(self.names, recursive=self.recursive, validate=self.validate)
            for fault in self._source.warnings:
                click.echo(f"warning: {fault}", err=True)
        return self._source

    def start(self) -> Emulation:
        """Return what the files describe, built anew; say on standard error what was not as expected."""
        from emu.cluster.network.lab import Network

        found = self.source.start(seed=self.seed, epoch=self._epoch())
        if isinstance(found, Network):
            options.tell_unexpected(found.unexpected)
        else:
            for line in found.warnings:
                click.echo(line, err=True)
        return found

    def starts(self, first: Emulation) -> Callable[[], Emulation]:
        """Return what gives `first`, and then the same again and again, built anew each time."""
        waiting = [first]

        def start() -> Emulation:
            return waiting.pop() if waiting else self.source.start(seed=self.seed, epoch=self._epoch())

        return start

    def start_cluster(self) -> Cluster:
        """Return the cluster that the files describe.

        Raises:
            UsageError: they describe a low-level network, which has no objects.
        """
        from emu.cluster.cluster import Cluster

        found = self.start()
        if not isinstance(found, Cluster):
            raise click.UsageError(
                "this verb needs a cluster: a low-level network has no objects of Kubernetes"
            )
        return found

    def _epoch(self) -> int:
        """Return the start of virtual time, ns since 1970."""
        return instant_of(self.epoch)


def instant_of(epoch: str | None) -> int:
    """Return the start of virtual time that `--epoch` says, ns since 1970."""
    from emu.kube.api.timestamps import parse
    from emu.sim.time import EPOCH

    if epoch is None:
        return EPOCH
    found = parse(epoch, 0)
    if found is None:
        raise click.BadParameter("like 2025-01-01T00:00:00Z", param_hint="--epoch")
    return found


def files(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option `-f`."""
    return click.option(
        "-f",
        "--filename",
        required=required,
        multiple=True,
        type=options.FileName(),
        envvar="EMU_TOPOLOGY",
        metavar="PATH",
        help="Manifests, Cluster or network document; a file, a folder, or -. EMU_TOPOLOGY where absent.",
    )


_READING = (
    click.option("-R", "--recursive", is_flag=True, help="Look into folders within folders."),
    click.option(
        "--validate",
        type=click.Choice(["strict", "warn", "ignore"]),
        default="strict",
        show_default=True,
        help="What becomes of unknown fields of manifests.",
    ),
    options.seed,
    click.option("--epoch", metavar="TIME", help="When virtual time begins (2025-01-01T00:00:00Z)."),
)


def reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the options about how what `-f` names is read."""
    for option in reversed(_READING):
        command = option(command)
    return command


def given(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the options, and their values as the argument `given`."""

    @wraps(command)
    def wrapped(
        *args: object,
        filename: tuple[str, ...],
        recursive: bool,
        validate: str,
        seed: int | None,
        epoch: str | None,
        **rest: object,
    ) -> object:
        return command(*args, given=Input(filename, recursive, validate, seed, epoch), **rest)

    return files(required=True)(reading(wrapped))


def given_with_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the options, and FILE... as more of what `-f` names, as the argument `given`."""

    @wraps(command)
    def wrapped(
        *args: object,
        filename: tuple[str, ...],
        files: tuple[str, ...],
        recursive: bool,
        validate: str,
        seed: int | None,
        epoch: str | None,
        **rest: object,
    ) -> object:
        names = (*filename, *files)
        if not names:
            raise click.UsageError("name a FILE, or -f PATH")
        return command(*args, given=Input(names, recursive, validate, seed, epoch), **rest)

    argument = click.argument("files", nargs=-1, type=options.FileName(), metavar="[FILE]...")
    return argument(files(required=False)(reading(wrapped)))


namespace = click.option("-n", "--namespace", default="default", metavar="NS", help="Of names without one.")
