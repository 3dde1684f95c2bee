# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: a fixture that loads topologies and asks whether packets arrive.

    def test_the_front_end_reaches_the_back_end(emu):
        emu.load("topologies/tiers.yaml")
        flow = emu.flow("front-end", "svc/back-end:8080")
        assert flow.always, flow.explain()
        emu.expect("any pod -> any pod NO-NAT")

`--emu-topology PATH` (or EMU_TOPOLOGY) names what tests ask about that load nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from emu.lab import Cluster, Network
    from emu.verify.flow import Flow


class Emu:
    """Loads topologies and asks questions about the one that was loaded last."""

    def __init__(self, folders: tuple[Path, ...], default: str | None) -> None:
        self._folders = folders
        self._default = default
        self._loaded: Cluster | Network | None = None

    def load(self, *paths: str | Path, seed: int | None = None, steps: bool = True) -> Cluster | Network:
        """Return what some files describe together, after its last step.

        Args:
            paths: as `emu.load` takes them; relative to the test's folder, or
                to where pytest runs.
            seed: decides all that is random.
            steps: False leaves the document's actions undone.

        Raises:
            DocumentError: a file cannot be read or has faults; all are told.
        """
        import emu  # noqa: PLC0415 - whoever does not use the fixture pays nothing

        self._loaded = emu.load(*map(self._find, paths), seed=seed, steps=steps)
        return self._loaded

    def flow(
        self, source: str, target: str, *, namespace: str = "default", races: bool = False, beside: str = ""
    ) -> Flow:
        """Return the question whether `source` reaches `target` in what was loaded last, by its own `flow`.

        Raises:
            UsageError: nothing was loaded, and no topology is named for all tests.
        """
        return self._emulation.flow(source, target, namespace=namespace, races=races, beside=beside)

    def expect(self, *lines: str, namespace: str = "default") -> None:
        """Fail the test unless lines of `expect`, as in a `Scenario`, are met in what was loaded last.

        Args:
            lines: `FROM -> TO VERDICT [because CODE]`; all are checked before the test fails.
            namespace: of names without one.

        Raises:
            AssertionError: some are not met; it tells what came instead, and why.
            ExpectationError: a line is wrong.
            UnknownNameError: a line names somebody who is not there.
            UsageError: nothing was loaded, and no topology is named for all tests.
        """
        __tracebackhide__ = True
        findings = [self._emulation.check(line, namespace=namespace) for line in lines]
        if unmet := [each.explain() for each in findings if not each]:
            raise AssertionError("\n".join(unmet))

    @property
    def _emulation(self) -> Cluster | Network:
        """What was loaded last."""
        if self._loaded is None:
            if self._default is None:
                raise pytest.UsageError("load a topology first, or name one by --emu-topology")
            self.load(self._default)
        assert self._loaded is not None
        return self._loaded

    def _find(self, path: str | Path) -> Path:
        places = (folder / path for folder in self._folders)
        return next((place for place in places if place.exists()), Path(path))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names a topology for all tests."""
    group = parser.getgroup("emu")
    group.addoption(
        "--emu-topology", metavar="PATH", help="what emu.flow asks about in tests that load nothing"
    )


@pytest.fixture
def emu(request: pytest.FixtureRequest) -> Emu:
    """Load topologies, and ask whether packets arrive."""
    default = request.config.getoption("--emu-topology") or os.environ.get("EMU_TOPOLOGY")
    return Emu((request.path.parent, request.config.rootpath), default)
