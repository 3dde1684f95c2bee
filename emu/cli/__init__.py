# SPDX-License-Identifier: GPL-2.0-only
"""The command line. Nothing heavy is imported before a verb needs it.

Exit status 2 means that the input was wrong: all that is wrong with it is told
on standard error, and nothing was written.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from importlib import import_module
from typing import IO, Final, NoReturn

import click

from emu import __version__
from emu.errors import EmuError

VERBS: Final = {
    "get": "emu.cli.get:get",
    "describe": "emu.cli.get:describe",
    "run": "emu.cli.run:run",
    "exec": "emu.cli.execute:execute",
    "capture": "emu.cli.capture:capture",
    "send": "emu.cli.send:send",
    "trace": "emu.cli.trace:trace",
    "probe": "emu.cli.probe:probe",
    "matrix": "emu.cli.matrix:matrix",
    "test": "emu.cli.test:test",
    "diff": "emu.cli.diff:diff",
    "lint": "emu.cli.lint:lint",
    "rules": "emu.cli.rules:rules",
    "shell": "emu.cli.shell.command:shell",
    "explain": "emu.cli.explain:explain",
    "import": "emu.cli.importing:import_",
    "export": "emu.cli.exporting:export",
}
"""Each verb and where its command is."""

_GARBAGE_THRESHOLD: Final = 50_000  # objects; what is imported and loaded is no garbage, so search it rarely

_INTERRUPTED: Final = 128 + 2  # as of a program that SIGINT ended
_READER_GONE: Final = 128 + 13  # as of one that SIGPIPE ended: `emu ... | head -1`

_SUMMARIES: Final = {
    "get": "Print objects as kubectl does.",
    "describe": "Tell all about objects as kubectl does.",
    "run": "Run a document's steps and check their outcomes.",
    "exec": "Run a command in a pod, on a node, in a namespace.",
    "capture": "Run a command and record frames.",
    "send": "Inject frames and see what comes back.",
    "trace": "Tell what happens to a packet, stage by stage.",
    "probe": "Answer many questions at once.",
    "matrix": "Tell who reaches whom.",
    "test": "Check what documents expect of packets.",
    "diff": "Tell which flows would fare otherwise, and why.",
    "lint": "Find mistakes that the objects alone show.",
    "rules": "Print the rules of a node.",
    "shell": "Talk to a living cluster, line by line.",
    "explain": "Print a page about a reason code.",
    "import": "Make a network document of real nodes' dumps.",
    "export": "Write a network document of a cluster.",
}


class _Refused(click.ClickException):
    """Wrong input: its faults are the whole message."""

    exit_code = 2

    def show(self, file: IO[str] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


class _Verbs(click.Group):
    """A group whose commands are imported when they are used; `--help` imports none.

    What a command returns is the exit status; what it raises becomes one.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> NoReturn:
        try:
            status: object = super().invoke(ctx)
        except EmuError as error:
            raise _Refused(str(error)) from None
        except OSError as error:  # what is read and written otherwise raises an EmuError
            status = 2
            if error.errno == errno.EPIPE:
                status = _READER_GONE
            else:
                click.echo(f"{error.filename or 'standard output'}: {error.strerror}", err=True)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to print fails no second time
        ctx.exit(status if isinstance(status, int) else 0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, _SUMMARIES[verb]) for verb in VERBS])


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="emu")
def cli() -> None:
    """Emulate Kubernetes networking, packet by packet."""


def main() -> None:
    """Run the command line; the entry point of `emu` and `kubectl emu`."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a title may have letters that no terminal has
    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.Abort:
        status = _INTERRUPTED
    sys.exit(status)
