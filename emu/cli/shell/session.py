# SPDX-License-Identifier: GPL-2.0-only
"""What a line at the prompt means: who does what with the living emulation.

The first word decides. It is looked up in this order:

    1. words of the prompt    run 5s, step, at 30s ..., pingall, net, back, source FILE
    2. emu's verbs            get pods, trace client svc/web, matrix, capture ... -- exec ...
    3. steps of a Scenario    scale deploy/web 5, fail node-2, apply -f FILE
    4. somebody's name        client ping web; node/worker-1 ip route; pod1 curl http://10.0.0.2 &

A line with an arrow is one of `expect`: `client -> svc/web:80 ALWAYS`.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from emu.cli.shell.agenda import Agenda
from emu.cli.shell.jobs import Jobs
from emu.cli.shell.names import Names
from emu.cli.shell.recorder import Recorder
from emu.cli.shell.watching import EventLog
from emu.cli.shell.words import ARROW, statements
from emu.cli.source import Living
from emu.cluster.cluster import Cluster
from emu.cluster.points import DEFAULT_NAMESPACE
from emu.cluster.scenario import fault_of
from emu.cluster.topology.spec import STEP_VERBS
from emu.errors import CommandError, EmuError, EndPointError, UnknownNameError, did_you_mean
from emu.sim.time import to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emu.cli.shell.words import Statement
    from emu.lab import Cluster as AskedCluster
    from emu.lab import Network as AskedNetwork

VERBS: Final = frozenset(
    ("get", "describe", "exec", "trace", "probe", "matrix", "capture", "send", "rules", "explain", "export")
)
"""Verbs of the command line that work on what lives here."""

WRONG: Final = 2
"""Status of what makes no sense."""

_QUESTIONS: Final = frozenset(("trace", "probe", "matrix"))
_REPLICAS: Final = 3  # words of `scale deploy/web 5`


class Session:
    """A conversation with a living cluster or network.

    Args:
        emulation: what lives.
        own: the words that only the prompt has, each with what it does.
        namespace: of names without one.

    Attributes:
        emulation: what lives; `back` puts an earlier one in its place.
        jobs: what runs while the prompt is back.
        agenda: what is to be done later.
        recorder: what is recorded from line to line.
        marks: for each line that changed something, how much had been done before it.
        depth: how many files of lines are being read, each by the one before.
        followed: the number of the packet that `follow` goes along with; None for none.
        is_over: somebody has said `quit`.
        is_passing: time passes because somebody wants to see it pass.
    """

    def __init__(
        self,
        emulation: AskedCluster | AskedNetwork,
        own: Mapping[str, Callable[[Session, Sequence[str]], int]],
        *,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> None:
        self.namespace = namespace
        self.own = own
        self.is_over = self.is_passing = False
        self.followed: int | None = None
        self.depth = 0
        self.recorder = Recorder()
        self.agenda = Agenda()
        self.marks: list[int] = []
        self.live_with(emulation)

    def live_with(self, emulation: AskedCluster | AskedNetwork) -> None:
        """Talk to another emulation from now on."""
        self.emulation = emulation
        self.jobs = Jobs()
        self.followed = None
        self.names = Names(emulation, self.namespace)
        if isinstance(emulation, Cluster):
            EventLog(emulation.store, self._hear_event)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Tell of events of Kubernetes inside the block."""
        self.is_passing = True
        try:
            yield
        finally:
            self.is_passing = False

    def _hear_event(self, line: str) -> None:
        if self.is_passing:
            click.echo(line)

    # --- lines ---

    def do(self, line: str) -> int:
        """Do what a line says, tell what is wrong with it, and return the status of the last thing in it."""
        status = 0
        try:
            for statement in statements(line):
                if not self.is_over:
                    status = self.attempt(statement)
        except CommandError as error:
            return _tell(error, error.status)
        return status

    def attempt(self, statement: Statement) -> int:
        """Do a statement, tell what is wrong with it, and return its status."""
        try:
            self._keep_appointments()
            if self.is_over:
                return 0
            mark = self.emulation.history_length
            status = self._answer(statement)
            if self.emulation.history_length > mark:
                self.marks.append(mark)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except CommandError as error:
            click.echo(error.stdout, nl=False)
            return _tell(error, error.status)
        except EmuError as error:
            return _tell(error, WRONG)
        finally:
            self._tell_of_jobs()
        return status

    def keep_appointment(self) -> None:
        """Do the next thing that was to be done later."""
        statement = self.agenda.take()
        click.echo(f"{to_seconds(self.emulation.fabric.loop.now):.3f} s $ {shlex.join(statement.words)}")
        self._answer(statement)

    def _keep_appointments(self) -> None:
        """Do what was to be done by now: time may have passed for something else."""
        while not self.is_over and self.agenda.next_instant(self.emulation.fabric.loop.now) is not None:
            self.keep_appointment()

    def _answer(self, statement: Statement) -> int:
        words = statement.words
        first, rest = words[0], words[1:]
        if statement.is_background:
            return self._start(first, rest)
        if first in self.own:
            return self.own[first](self, rest)
        if first == "probe" and not fault_of(words):  # of a container: `probe web readiness fail`
            return self.take_step(words)
        if first in VERBS:
            return self._verb(first, [word for word in rest if word != ARROW])
        if ARROW in words:
            return self._expect(words)
        if first in STEP_VERBS:
            return self.take_step(words)
        return self._sentence(first, rest)

    # --- what there is beside the prompt's own words ---

    def help_for(self, verb: str) -> int:
        """Print what a verb of the command line says about itself."""
        return self._verb(verb, ["--help"])

    def _verb(self, verb: str, words: Sequence[str]) -> int:
        from emu.cli import cli

        command = cli.get_command(click.Context(cli), verb)
        assert command is not None, f"{verb} is in VERBS"
        if verb not in _QUESTIONS:
            return _run(command, verb, words, Living(self.emulation))
        with self.recorder.paused():
            return _run(command, verb, words, Living(self.emulation))

    def _expect(self, words: Sequence[str]) -> int:
        with self.recorder.paused():
            finding = self.emulation.check(" ".join(words), namespace=self.namespace)
        click.echo(finding.explain())
        return 0 if finding else 1

    def take_step(self, words: Sequence[str]) -> int:
        """Do what a step of a Scenario may say, and print what kubectl prints.

        Raises:
            CommandError: there is no cluster.
        """
        cluster = self.emulation
        if not isinstance(cluster, Cluster):
            raise CommandError(f"{words[0]}: a network has no objects of Kubernetes", WRONG)
        if words[0] == "scale" and len(words) == _REPLICAS and words[2].isdecimal():
            words = (*words[:2], f"--replicas={words[2]}")
        finished = cluster.do(words)
        click.echo(finished.stdout, nl=False)
        click.echo(finished.stderr, nl=False, err=True)
        return finished.status

    def _sentence(self, first: str, rest: Sequence[str]) -> int:
        """Have somebody run a command."""
        try:
            host = self.names.host(first)
        except (EndPointError, UnknownNameError) as error:
            if "/" in first:
                raise CommandError(f"{error}", WRONG) from None
            known = (*self.own, *VERBS, *STEP_VERBS, *self.names.hosts())
            what = "neither a word of the prompt nor the name of somebody who runs"
            raise CommandError(f"{first}: {what}{did_you_mean(first, known)}", WRONG) from None
        if not rest:
            raise CommandError(f"what is {first} to do? ({first} ping ..., {first} ip route)", WRONG)
        finished = host.execute(self.names.addressed(rest))
        click.echo(finished.stdout, nl=False)
        click.echo(finished.stderr, nl=False, err=True)
        return finished.status

    def _start(self, first: str, rest: Sequence[str]) -> int:
        if first in self.own or first in VERBS or first in STEP_VERBS or not rest:
            raise CommandError("beside the prompt go commands that somebody runs: client ping web &", WRONG)
        host = self.names.host(first)
        click.echo(str(self.jobs.start(self.emulation, host, self.names.addressed(rest))))
        return 0

    def _tell_of_jobs(self) -> None:
        for job in self.jobs.finished():
            click.echo(f"{job}  done")
            finished = job.process.result
            click.echo(finished.stdout, nl=False)
            click.echo(finished.stderr, nl=False, err=True)


def _run(command: click.Command, verb: str, words: Sequence[str], given: Living) -> int:
    status: object = command.main([*words], prog_name=verb, standalone_mode=False, obj=given)
    return status if isinstance(status, int) else 0


def _tell(error: EmuError, status: int) -> int:
    click.echo(f"{error}", err=True)
    return status
