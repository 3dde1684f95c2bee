# SPDX-License-Identifier: GPL-2.0-only
"""The words that only the prompt has: time, wiring, all to all, files of lines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from emu.cli.shell import reach, stepping, wiring
from emu.cli.shell.session import VERBS, WRONG
from emu.cli.shell.words import Statement, duration
from emu.cluster.topology.spec import STEP_VERBS
from emu.errors import CommandError
from emu.sim.time import Instant, later, to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emu.cli.shell.session import Session
    from emu.cluster.emulation import Emulation

_MOST_STEPS: Final = 1000
_MOST_OCTETS: Final = 1 << 20  # of a file of lines
_DEEPEST: Final = 16  # files that read files

# --- time ---


def run(session: Session, words: Sequence[str]) -> int:
    """Let time pass: `run 5s`; what was planned for meanwhile is done, and events are told."""
    if len(words) > 1:
        return session.take_step(("run", *words))  # kubectl's: run NAME --image=IMAGE
    if not words:
        raise CommandError("run DURATION: run 5s, run 1m30s", WRONG)
    loop = session.emulation.fabric.loop
    end = later(loop.now, duration(words[0]))
    with session.passing():
        while (due := session.agenda.next_instant(end)) is not None:
            session.emulation.wait_until(Instant(max(due, loop.now)))
            session.keep_appointment()
            if session.is_over:
                return 0
        session.emulation.wait_until(Instant(max(end, loop.now)))
    return time(session, ())


def at(session: Session, words: Sequence[str]) -> int:
    """Plan something: `at 30s fail node-2`; the time is that of the virtual clock."""
    if len(words) < 2:
        raise CommandError("at TIME WORDS...: at 30s fail node-2", WRONG)
    if words[1] == "back":
        raise CommandError("at: back cannot be planned: what it takes back would be done again", WRONG)
    now = session.emulation.fabric.loop.now
    instant = Instant(duration(words[0]))
    if instant < now:
        raise CommandError(f"{words[0]} is past: it is {to_seconds(now):.3f} s", WRONG)
    session.agenda.add(instant, Statement(tuple(words[1:])))
    return 0


def step(session: Session, words: Sequence[str]) -> int:
    """Let things happen one after the other until a packet is touched, N times: `step`, `step 10`."""
    for _ in range(_count("step", words, _MOST_STEPS)):
        happened = stepping.next_of_all(session)
        if happened is None:
            click.echo("nothing is under way")
            return 1
        session.followed = happened.steps.heard[0].packet_id
        happened.tell()
    return 0


def follow(session: Session, words: Sequence[str]) -> int:
    """Step along with one packet: `follow udp port 53` waits for one, `follow`, `follow 5` go on with it."""
    if words and not words[0].isdecimal():
        session.followed = None
        first = stepping.first_that(session, " ".join(words))
        if first is None:
            click.echo("no such packet passes within 5 s")
            return 1
        session.followed, happened = first
        happened.tell()
        return 0
    for _ in range(_count("follow", words, _MOST_STEPS)):
        if session.followed is None:
            raise CommandError("whom? follow EXPR, like follow tcp port 80, or step first", WRONG)
        along = stepping.next_of(session, session.followed)
        if along is None:
            click.echo("nothing more happens to this packet within 5 s")
            return 1
        along.tell()
        if along.is_end:
            session.followed = None
            click.echo("this packet is at its end")
            break
    return 0


def time(session: Session, words: Sequence[str]) -> int:
    """Print the virtual time."""
    _none("time", words)
    click.echo(f"{to_seconds(session.emulation.fabric.loop.now):.3f} s")
    return 0


def back(session: Session, words: Sequence[str]) -> int:
    """Take back the last N lines that changed something, and end recordings (`record stop`): `back 2`."""
    if session.is_passing:
        raise CommandError("back: not while time passes", WRONG)
    count = _count("back", words, len(session.marks))
    before = session.marks[-count]
    if session.recorder.is_recording:
        click.echo(f"the recording ends here: {session.recorder.stop()}")
    session.live_with(session.emulation.as_of(before))
    del session.marks[-count:]
    return time(session, ())


# --- looking ---


def jobs(session: Session, words: Sequence[str]) -> int:
    """Print what runs while the prompt is back."""
    _none("jobs", words)
    for job in session.jobs:
        click.echo(f"{job}")
    return 0


def record(session: Session, words: Sequence[str]) -> int:
    """Record from line to line: `record -w lab.pcapng -i client/eth0 tcp port 80`, then `record stop`."""
    if [*words] == ["stop"]:
        click.echo(session.recorder.stop())
        return 0
    chosen: dict[str, list[str]] = {"-w": [], "-i": []}
    rest = [*words]
    while rest and rest[0] in chosen:
        if len(rest) == 1:
            raise CommandError(f"record: {rest[0]} needs a value", WRONG)
        chosen[rest[0]].append(rest[1])
        del rest[:2]
    points = [session.emulation.point(each, session.namespace) for each in chosen["-i"]]
    session.recorder.start(session.emulation, points, " ".join(rest), "".join(chosen["-w"][-1:]))
    return 0


def pingall(session: Session, words: Sequence[str]) -> int:
    """Have everybody ping everybody."""
    _none("pingall", words)
    return _reach(session, "")


def reachall(session: Session, words: Sequence[str]) -> int:
    """Have everybody ask everybody on a port: `reachall --port 80`, `reachall --port 53/udp`."""
    match words:
        case ["--port", port]:
            return _reach(session, f":{port}")
        case _:
            raise CommandError("reachall --port PORT[/PROTOCOL]", WRONG)


def _reach(session: Session, flow: str) -> int:
    with session.recorder.paused():
        for line in reach.all_pairs(session.emulation, session.names.peers(), flow):
            click.echo(line)
    return 0


def _wired(lines: Callable[[Emulation], Iterator[str]], session: Session, words: Sequence[str]) -> int:
    _none(lines.__name__, words)
    for line in lines(session.emulation):
        click.echo(line)
    return 0


# --- the conversation ---


def source(session: Session, words: Sequence[str]) -> int:
    """Do the lines of a file."""
    if len(words) != 1:
        raise CommandError("source FILE", WRONG)
    if session.depth == _DEEPEST:
        raise CommandError(f"source {words[0]}: {_DEEPEST} files read each other", WRONG)
    status = 0
    session.depth += 1
    try:
        for line in _text(words[0]).splitlines():
            if not session.is_over:
                status = session.do(line)
    finally:
        session.depth -= 1
    return status


def _text(name: str) -> str:
    """Return what a file holds.

    Raises:
        CommandError: it cannot be read, is no text, or is too long.
    """
    try:
        with Path(name).open("rb") as stream:
            octets = stream.read(_MOST_OCTETS + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", WRONG) from None
    if len(octets) > _MOST_OCTETS:
        raise CommandError(f"{name}: has more than {_MOST_OCTETS >> 20} MiB", WRONG)
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{name}:{line}: is no UTF-8 text", WRONG) from None


def help_(session: Session, words: Sequence[str]) -> int:
    """Print what can be said here, or all about one word."""
    if not words:
        click.echo(_HELP)
        return 0
    if words[0] in VERBS:
        return session.help_for(words[0])
    if words[0] not in OWN:
        raise CommandError(f"there is no help for {words[0]}", WRONG)
    click.echo(_first_line(OWN[words[0]]))
    return 0


def quit_(session: Session, words: Sequence[str]) -> int:
    """Leave the prompt."""
    _none("quit", words)
    session.is_over = True
    return 0


def _first_line(function: Callable[..., int]) -> str:
    called = function.args[0] if isinstance(function, partial) else function
    return (called.__doc__ or "").partition("\n")[0]


def _none(word: str, words: Sequence[str]) -> None:
    if words:
        raise CommandError(f"{word} takes no words after it, not {words[0]!r}", WRONG)


def _count(word: str, words: Sequence[str], most: int) -> int:
    """Return the number behind a word, 1 where it has none.

    Raises:
        CommandError: it is no number from 1 to `most`.
    """
    text = words[0] if words else "1"
    if len(words) > 1 or not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) <= most:
        raise CommandError(f"{word} [N], with N from 1 to {most}", WRONG)
    return int(text)


OWN: Final[Mapping[str, Callable[[Session, Sequence[str]], int]]] = {
    "run": run,
    "at": at,
    "step": step,
    "follow": follow,
    "time": time,
    "back": back,
    "jobs": jobs,
    "record": record,
    "pingall": pingall,
    "reachall": reachall,
    "nodes": partial(_wired, wiring.nodes),
    "net": partial(_wired, wiring.net),
    "links": partial(_wired, wiring.links),
    "intfs": partial(_wired, wiring.intfs),
    "dump": partial(_wired, wiring.dump),
    "source": source,
    "help": help_,
    "quit": quit_,
    "exit": quit_,
}
"""Each word, and what it does."""

_HELP: Final = "\n".join(
    (
        "WHO COMMAND...      somebody runs something: client ping web, node/worker-1 ip route;",
        "                    with & at the end the prompt comes back at once",
        "FROM -> TO VERDICT  as an expect line: client -> svc/web:80 ALWAYS",
        f"of emu              {' '.join(sorted(VERBS))}",
        f"of a Scenario       {' '.join(verb for verb in STEP_VERBS if verb not in {*VERBS, *OWN})}",
        *(f"{word:<18}  {_first_line(function)}" for word, function in OWN.items()),
        "help WORD says more. Several go on one line, with semicolons; # begins a remark.",
    )
)
