# SPDX-License-Identifier: GPL-2.0-only
"""What holds for the whole suite: options, Hypothesis profiles, and the judges' tallies.

A test that compares many cases with the kernel records a property `compared`: of
what kind, how many, how many differ; the summary adds them up in a line.
A test that belongs to one of the judges (a recorded scenario, a case of
kube-proxy's or NetworkPolicy's own tests) carries `@pytest.mark.judge("golden")`;
the summary then prints one line for each judge, `golden: P passed, X xfailed of N`.
Tests marked `kernel` or `tshark` are skipped where there is none, and said so;
with `--require-kernel` a missing kernel is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.terminal import TerminalReporter

_JUDGE = "judge"
_COMPARED = "compared"
_HELD = "held"
_KERNEL_TOOLS = ("ip", "iptables", "ipset", "nft", "conntrack")

settings.register_profile("dev", max_examples=40, deadline=None)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options by which the judges' folders are replaced."""
    group = parser.getgroup("emu")
    group.addoption(
        "--golden-dir",
        type=Path,
        metavar="DIR",
        help="recorded scenarios to compare with, one folder each, instead of those in tests/golden",
    )
    group.addoption(
        "--conformance-dir",
        type=Path,
        metavar="DIR",
        help="cases of kube-proxy/ and networkpolicy/ in DIR, instead of those in tests/conformance",
    )
    group.addoption(
        "--require-kernel",
        action="store_true",
        help="fail the tests that ask the real Linux kernel where there is none, instead of skipping them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker of the judges known."""
    config.addinivalue_line("markers", "judge(name): counted in a line of the summary under that name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note each test's judge in its reports, and skip what cannot run here."""
    obstacles = {"tshark": None if shutil.which("tshark") else "tshark is not installed"}
    if any(item.get_closest_marker("kernel") for item in items) and not config.getoption("--require-kernel"):
        obstacles["kernel"] = _kernel_obstacle()
    for item in items:
        judge = item.get_closest_marker(_JUDGE)
        if judge is not None:
            item.user_properties.append((_JUDGE, judge.args[0]))
        for marker, obstacle in obstacles.items():
            if obstacle is not None and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=obstacle))


def _kernel_obstacle() -> str | None:
    """Return why network namespaces of a real kernel cannot be made, None if they can."""
    missing = [tool for tool in _KERNEL_TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"emu-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"no network namespaces here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print each judge's tally."""
    tallies: dict[str, Counter[str]] = {}
    for outcome in ("passed", "xfailed", "xpassed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome == "passed" and report.when != "call":
                continue
            for name, value in getattr(report, "user_properties", ()):
                if name == _JUDGE:
                    tallies.setdefault(str(value), Counter())[outcome] += 1
    _summarize_comparisons(terminalreporter)
    _summarize_invariants(terminalreporter)
    for judge, tally in sorted(tallies.items()):
        passed, xfailed = tally["passed"], tally["xfailed"]
        terminalreporter.write_line(f"{judge}: {passed} passed, {xfailed} xfailed of {tally.total()}")


def _properties(terminalreporter: TerminalReporter, wanted: str) -> Iterator[Any]:
    """Yield what tests recorded under a name."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", ()) if report.when == "call" else ():
                if name == wanted:
                    yield value


def _summarize_invariants(terminalreporter: TerminalReporter) -> None:
    """Print on how many generated clusters the invariants held, and how often each was looked at."""
    clusters = 0
    looks: Counter[str] = Counter()
    for count, checked in _properties(terminalreporter, _HELD):
        clusters += count
        looks.update(checked)
    if clusters:
        words = ", ".join(f"{name} {count}" for name, count in sorted(looks.items()))
        terminalreporter.write_line(f"invariants: held on {clusters} generated clusters ({words})")


def _summarize_comparisons(terminalreporter: TerminalReporter) -> None:
    """Print how many cases of each kind were compared with the kernel, and how many differ."""
    kinds: Counter[str] = Counter()
    differ = 0
    for kind, count, differing in _properties(terminalreporter, _COMPARED):
        kinds[str(kind)] += count
        differ += differing
    if kinds:
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        terminalreporter.write_line(f"kernel: {counts} pairs compared, {differ} differ")
