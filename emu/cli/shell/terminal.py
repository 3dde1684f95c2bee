# SPDX-License-Identifier: GPL-2.0-only
"""Lines that somebody types, with completion and a history. Imported only for that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, InMemoryHistory

from emu.cli.shell.completion import candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History

    from emu.cli.shell.session import Session

PROMPT: Final = "emu> "
_WELCOME: Final = "help tells what can be said here, Tab completes, Ctrl-D leaves."


def typed(session: Session, history: History | None = None) -> Iterator[str]:
    """Yield the lines that somebody types, until the end of the input (Ctrl-D).

    Args:
        session: for which they are; its names complete words.
        history: where lines are kept; None for a file of this user.
    """
    click.echo(_WELCOME, err=True)
    reader: PromptSession[str] = PromptSession(
        history=history or _history(), completer=Words(session), complete_while_typing=False
    )
    while True:
        try:
            yield reader.prompt(PROMPT)
        except KeyboardInterrupt:
            continue  # Ctrl-C takes a line back
        except EOFError:
            return


class Words(Completer):
    """Completes the word before the cursor."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - its signature
    ) -> Iterable[Completion]:
        """Yield what can stand there."""
        statement = document.text_before_cursor.rpartition(";")[2].lstrip()
        *words, begun = statement.split(" ")
        found = candidates(self._session, [word for word in words if word], begun)
        for each in found:
            end = " " if len(found) == 1 else ""  # the next word may begin
            yield Completion(f"{each}{end}", start_position=-len(begun), display=each)


def _history() -> History:
    """Return where lines are kept from one conversation to the next, or for this one where that cannot be."""
    folder = Path(click.get_app_dir("emu"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history").open("a").close()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(folder / "history"))
