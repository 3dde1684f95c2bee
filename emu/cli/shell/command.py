# SPDX-License-Identifier: GPL-2.0-only
"""`emu shell`: the verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cli.shell.session import Session
    from emu.cli.source import Input


@click.command()
@source.given_with_files
@source.namespace
@click.option("-c", "words", metavar="LINES", help="Do these, with semicolons between, and end.")
def shell(given: Input, namespace: str, words: str | None) -> int:
    """Talk to a living cluster: `emu shell topologies/two-workers.yaml`.

    At the prompt there are emu's verbs without -f, the steps of a Scenario, and
    sentences as in mininet: `client ping web`, `pingall`, `fail node-2`, `run 5s`.
    What is done stays done, and time stands still between the lines. `help` has
    all of it.

    The exit status is that of the last line.
    """
    import sys

    from emu.cli.shell.own import OWN
    from emu.cli.shell.session import Session

    session = Session(given.start_asked(), OWN, namespace=namespace)
    if words is not None:
        return _converse(session, words.splitlines())
    if not sys.stdin.isatty():
        return _converse(session, sys.stdin)
    from emu.cli.shell.terminal import typed

    return _converse(session, typed(session))


def _converse(session: Session, lines: Iterable[str]) -> int:
    """Do line after line, and return the status of the last one."""
    status = 0
    try:
        for line in lines:
            if line.strip():
                status = session.do(line)
            if session.is_over:
                break
    finally:
        session.recorder.stop()
        options.tell_unobeyed(session.emulation.fabric, is_cluster=session.emulation.is_cluster)
    return status
