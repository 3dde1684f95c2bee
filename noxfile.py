# SPDX-License-Identifier: GPL-2.0-only
"""Everything that is checked, by `nox`; a session alone by `nox -s tests-3.12`."""

from __future__ import annotations

import nox

nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "tests", "docs"]

PYTHONS = ("3.11", "3.12", "3.13")
SOURCES = ("emu", "tests", "noxfile.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Format and rules."""
    session.install("-U", "pip")
    session.install("--group", "lint")
    session.run("ruff", "format", "--check", *SOURCES)
    session.run("ruff", "check", *SOURCES)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, tests included."""
    session.install("-U", "pip")
    session.install("-e", ".[test]", "--group", "lint")
    session.run("mypy", "--strict", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite, `nox -s tests -- ARGUMENTS` with pytest's arguments."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Check that the documents name only what exists."""
    session.install("-e", ".[test]")
    session.run("pytest", "tests/test_architecture.py", "-k", "documents or places")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure."""
    session.install("-e", ".[test]")
    session.run("pytest", "tests/bench", "--benchmark-enable", "--benchmark-only", *session.posargs)
