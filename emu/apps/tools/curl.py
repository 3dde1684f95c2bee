# SPDX-License-Identifier: GPL-2.0-only
"""`curl`, on a terminal: it shows no progress meter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.apps.curl import report
from emu.apps.curl.options import parse
from emu.apps.curl.transfer import Session, head_lines, retry_delay
from emu.apps.curl.url import parse as parse_url
from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.fabric import program
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.curl.options import Options
    from emu.apps.curl.report import Transfer
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

_TRANSIENT: Final = frozenset((408, 429, 500, 502, 503, 504))


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Fetch URLs and print what comes."""
    options = parse(argv, userland)
    session = Session(options, userland)
    stdout: list[str] = []
    stderr = session.told
    status = 0
    for index, text in enumerate(options.urls):
        transfers = yield from _fetch(session, text, index, stdout)
        if isinstance(transfers, CommandError):
            stderr.append(_told(options, f"{transfers}\n"))
            status = transfers.status
            continue
        status = transfers[-1].status
    yield from session.end()
    return Finished("".join(stdout), "".join(stderr), status)


def _told(options: Options, text: str) -> str:
    is_silent = "silent" in options.flags and "show-error" not in options.flags
    return "" if is_silent else text


def _fetch(
    session: Session, text: str, index: int, stdout: list[str]
) -> Program[list[Transfer] | CommandError]:
    """Fetch one URL, again if that may help, and print what comes."""
    options = session.options
    for attempt in range(options.retries + 1):
        try:
            target = parse_url(text, globbing="globoff" not in options.flags)
            transfers = yield from session.fetch(target)
        except CommandError as error:
            return error
        last = transfers[-1]
        _judge(options, last)
        why = _transient(options, last)
        if not why or attempt == options.retries:
            break
        wait = retry_delay(options, attempt)
        left = options.retries - attempt
        session.told.append(
            _told(
                options,
                f"Warning: Problem: {why}. Will retry in {wait // SECOND} second{'s'[: wait != SECOND]}. "
                f"{left} retr{'y' if left == 1 else 'ies'} left.\n",
            )
        )
        yield from program.sleep(wait)
    _print(session, transfers, index, stdout)
    return transfers


def _judge(options: Options, transfer: Transfer) -> None:
    """Let a status of 400 or more be an error if `-f` says so."""
    response = transfer.response
    if (
        {"fail", "fail-with-body"} & options.flags
        and response is not None
        and response.status >= 400
        and not transfer.status
    ):
        transfer.fail(22, f"The requested URL returned error: {response.status}")


def _transient(options: Options, transfer: Transfer) -> str:
    """Return why trying again may help; nothing if it will not."""
    if transfer.status == 28:
        return "timeout"
    if transfer.status == 6:
        return "DNS"
    if transfer.status == 7 and "retry-connrefused" in options.flags:
        return "connection refused"
    if transfer.response is not None and transfer.response.status in _TRANSIENT:
        return "HTTP error"
    return "(retrying all errors)" if transfer.status and "retry-all-errors" in options.flags else ""


def _print(session: Session, transfers: list[Transfer], index: int, stdout: list[str]) -> None:
    """Write what a URL brought where it belongs."""
    options = session.options
    pieces: list[str] = []
    for transfer in transfers:
        response = transfer.response
        if response is None:
            continue
        if {"include", "head"} & options.flags:
            pieces += [f"{line}\r\n" for line in (*head_lines(response), "")]
        refused = "fail" in options.flags and response.status >= 400
        if transfer is transfers[-1] and not refused and "head" not in options.flags:
            pieces.append(response.body.decode("utf-8", "replace"))
    last = transfers[-1]
    path = options.outputs[index] if index < len(options.outputs) else ""
    if not path and "remote-name" in options.flags:
        path = last.url.target.partition("?")[0].rpartition("/")[2]
        if not path:
            last.fail(23, "Failed to open the file : the URL names none")
    if path in {"", "-"}:
        stdout += pieces
    elif path != "/dev/null":
        session.userland.write(path, "".join(pieces))
    if last.status:
        session.told.append(_told(options, f"curl: ({last.status}) {last.error}\n"))
    if options.write_out:
        text, complaints = report.write_out(options.write_out, last)
        stdout.append(text)
        session.told.append(complaints)
