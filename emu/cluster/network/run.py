# SPDX-License-Identifier: GPL-2.0-only
"""Carrying out a document's actions, one after the other, on the virtual clock.

The clock stands still for everything but pauses, timers and timeouts; what lies
between two actions is a silence on the captures, as the format lays down.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.cluster.network import steps
from emu.cluster.network.actions import (
    Exec,
    IptablesChange,
    Quiet,
    Sleep,
    Snapshot,
    Tally,
    TcpServer,
    UdpServer,
)
from emu.cluster.network.build import build
from emu.cluster.network.steps import FAILED, NOTHING, Result
from emu.cluster.network.tally import tally
from emu.errors import DocumentError, Fault
from emu.fabric import program
from emu.observe.canonical import tables
from emu.observe.capture import Capture
from emu.observe.recording import Recording
from emu.sim.time import MILLISECOND, SECOND, Duration, later

if TYPE_CHECKING:
    from emu.cluster.network.actions import Action, Step
    from emu.cluster.network.model import NetworkDocument
    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.observe.canonical.tables import Tables

_PATIENCE: Final = 60 * SECOND  # for each background action, at the end
_SETTLE_LIMIT: Final = 5 * SECOND
_SNAPSHOT_SILENCE: Final = 200 * MILLISECOND
_TALLY_SILENCE: Final = 300 * MILLISECOND
_UNFINISHED: Final = "no end"
_NO_SILENCE: Final = (TcpServer, UdpServer, Sleep, Snapshot, Exec, IptablesChange)


@attrs.frozen
class Outcome:
    """Everything that a run of a document gives.

    Attributes:
        results: what the programs saw, by action.
        dumps: the tables, by label and namespace.
        unexpected: a line for each outcome that is not the `expect` of its
            action, and for each command that failed and may not.
    """

    results: list[Result]
    dumps: dict[str, dict[str, Tables]]
    unexpected: list[str]


class NetworkRun:
    """A network that was built from a document, with its captures open.

    Attributes:
        document: what it was built from.
        fabric: the network.
        recording: what is told of all that happens.
        capture: what the document's captures saw.
    """

    def __init__(self, document: NetworkDocument, *, seed: int = 0) -> None:
        self.document = document
        self.fabric: Fabric = build(document, seed=seed)
        self.recording = Recording()
        self.fabric.record(self.recording)
        self.capture = Capture([(point.ns, point.iface) for point in document.captures])
        self.recording.add(self.capture)
        self._results: list[Result] = []
        self._dumps: dict[str, dict[str, Tables]] = {}

    def run(self) -> Outcome:
        """Carry out all actions, wait for silence, and dump the tables.

        Raises:
            DocumentError: an action that reports no outcome could not be carried out.
            StormError: frames go round in circles.
        """
        background: list[tuple[int, Step, Process[Result]]] = []
        loop = self.fabric.loop
        for index, step in enumerate(self.document.actions):
            loop.replenish()
            process = self._start(step.action)
            if step.background:
                background.append((index, step, process))
                loop.run_until(later(loop.now, step.lead))
                continue
            self._finish(process)
            self._take_result(index, step, process)
            if not isinstance(step.action, _NO_SILENCE):
                self._finish(self._start_silence(step.settle, _SETTLE_LIMIT))
        for index, step, process in background:
            self._finish(process, _PATIENCE)
            self._take_result(index, step, process)
        self._finish(self._start_silence(self.document.quiet, self.document.quiet_limit))
        self._dumps["end"] = self.dump()
        results = sorted(self._results, key=lambda result: result["action"])
        unexpected = [line for result in results if (line := self._surprise(result))]
        return Outcome(results, self._dumps, unexpected)

    def _surprise(self, result: Result) -> str:
        """Return what is not as it should be about a result, empty if all is."""
        index, outcome = result["action"], result.get("outcome")
        step = self.document.actions[index]
        place = f"action {index} ({step.kind}, line {step.line})"
        if result.get("as_expected") is False:
            wanted = ", ".join(step.expect) if isinstance(step.expect, tuple) else step.expect
            found = ", ".join(map(str, outcome)) if isinstance(outcome, list) else outcome
            return f"{place}: expected {wanted}, got {found}"
        return f"{place}: {outcome}" if str(outcome).startswith(FAILED) else ""

    def dump(self) -> dict[str, Tables]:
        """Return the tables of all namespaces as they are now, in canonical form."""
        return {name: self._dump(name) for name in self.fabric.namespaces}

    def _dump(self, name: str) -> Tables:
        document = self.document
        tracks = name in {*document.conntrack, *document.iptables, *document.nft}
        normalize = document.normalize
        function = partial(
            tables.dump,
            conntrack=tracks,
            iptables=name in document.iptables,
            known_ports=normalize.known_ports if normalize.random_ports else None,
        )
        return self.fabric.call(self.fabric.namespace(name), function)

    def _start(self, action: Action) -> Process[Result]:
        name = getattr(action, "ns", self.document.namespaces[0].name)
        return self.fabric.spawn(self.fabric.namespace(name), self._program(action))

    def _start_silence(self, span: Duration, limit: Duration) -> Process[None]:
        anywhere = next(iter(self.fabric.namespaces.values()))
        return self.fabric.spawn(anywhere, self._silence(span, limit))

    def _program(self, action: Action) -> Program[Result]:
        match action:
            case Quiet():
                return self._quiet(action)
            case Snapshot():
                return self._snapshot(action)
            case Tally():
                return self._tally(action)
            case _:
                return steps.as_program(self.fabric, action)

    def _silence(self, span: Duration, limit: Duration) -> Program[None]:
        """Wait until nothing was captured for `span`, `limit` at the most."""
        start = yield from program.now()
        end = later(start, limit)
        while True:
            now = yield from program.now()
            until = min(later(max(start, self.capture.last), span), end)
            if until <= now:
                return
            yield from program.sleep(until - now)

    def _quiet(self, action: Quiet) -> Program[Result]:
        yield from self._silence(action.duration, action.limit)
        return NOTHING

    def _snapshot(self, action: Snapshot) -> Program[Result]:
        yield from self._silence(_SNAPSHOT_SILENCE, _SETTLE_LIMIT)
        self._dumps[action.label] = self.dump()
        return NOTHING

    def _tally(self, action: Tally) -> Program[Result]:
        yield from self._silence(_TALLY_SILENCE, _SETTLE_LIMIT)
        return tally(action, self.capture)

    def _finish(self, process: Process[Any], patience: Duration | None = None) -> None:
        """Run until `process` is done, or for `patience`."""
        loop = self.fabric.loop
        end = None if patience is None else later(loop.now, patience)
        while not process.done:
            due = loop.next_instant
            if due is None or (end is not None and due > end):
                return
            loop.step()

    def _take_result(self, index: int, step: Step, process: Process[Result]) -> None:
        if not process.done:  # as a program that waits for ever: its outcome is not what anybody expects
            process.kill()
            unfinished: Result = {"action": index, "kind": step.kind, "outcome": _UNFINISHED}
            if step.expect is not None:
                unfinished["as_expected"] = False
            self._results.append(unfinished)
            return
        try:
            found = process.result
        except OSError as error:  # only of those that report no outcome: traceroute
            place = f"$.actions[{index}].{step.kind}"
            reason = error.strerror or str(error)
            raise DocumentError([Fault(self.document.file, step.line, place, reason)]) from None
        if not found:
            return
        result: Result = {"action": index, "kind": step.kind, **found}
        if step.expect is not None:
            expected = list(step.expect) if isinstance(step.expect, tuple) else step.expect
            result["as_expected"] = result.get("outcome") == expected
        self._results.append(result)
