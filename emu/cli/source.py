# SPDX-License-Identifier: GPL-2.0-only
"""`-f` and the options beside it: what the verbs work on."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import attrs
import click

from emu.cli import notes, options

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.cluster import Cluster
    from emu.cluster.emulation import Emulation
    from emu.cluster.source import Source
    from emu.lab import Cluster as AskedCluster
    from emu.lab import Network as AskedNetwork


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
            notes.tell_warnings(self._source.warnings)
        return self._source

    def start(self) -> Emulation:
        """Return what the files describe, built anew; say on standard error what was not as expected."""
        return _told(self.source.start(seed=self.seed, epoch=self._epoch()))

    def start_asked(self) -> AskedCluster | AskedNetwork:
        """Return the same, to be asked many things."""
        from emu import lab

        made = lab.start(self.source, seed=self.seed, epoch=self._epoch())
        _told(made)
        return made

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


def _told(found: Emulation) -> Emulation:
    """Say what is not as its documents expect, and return it."""
    from emu.cluster.cluster import Cluster
    from emu.cluster.network.lab import Network

    if isinstance(found, Network):
        options.tell_unexpected(found.unexpected)
    elif isinstance(found, Cluster):
        notes.tell(found.warnings)
    return found


class Living(Input):
    """What lives already, at the prompt of `emu shell`: no file is read for it."""

    def __init__(self, living: Emulation) -> None:
        super().__init__(())
        self._living = living

    def start(self) -> Emulation:
        """Return what lives, as it is."""
        return self._living


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
        return command(*args, given=_input(filename, recursive, validate, seed, epoch), **rest)

    return files(required=False)(reading(wrapped))


def _input(
    names: tuple[str, ...],
    recursive: bool,
    validate: str,
    seed: int | None,
    epoch: str | None,
) -> Input:
    """Return what was given with a verb: files, or what lives at the prompt.

    Raises:
        MissingParameter: neither is there.
        UsageError: what lives is to begin in another way than it did.
    """
    context = click.get_current_context()
    living = context.find_object(Living)
    if living is not None and not _is_typed(context, "filename"):
        if seed is not None or epoch is not None:
            raise click.UsageError("what lives here has begun: --seed and --epoch are for emu shell itself")
        return living
    if not names:
        raise click.MissingParameter(param_hint="'-f' / '--filename'", param_type="option")
    return Input(names, recursive, validate, seed, epoch)


def _is_typed(context: click.Context, name: str) -> bool:
    """Return whether an option was given with the verb itself, not by the environment."""
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


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
