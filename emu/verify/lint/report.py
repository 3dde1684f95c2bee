# SPDX-License-Identifier: GPL-2.0-only
"""Findings as text for people, as JSON for machines, and as annotations for GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.lint.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.verify.lint.finding import Finding

_ANNOTATIONS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def text(findings: Iterable[Finding]) -> str:
    """Return two lines for each: what is wrong where, and what to do."""
    return "\n".join(
        f"{each.file}:{each.line}: {each.severity.value}: {each.object}: {each.message} [{each.code}]\n"
        f"    {each.remedy}"
        for each in findings
    )


def report(findings: Iterable[Finding]) -> Sequence[Mapping[str, str | int]]:
    """Return them as JSON has them."""
    return [
        {
            "file": each.file,
            "line": each.line,
            "path": each.path,
            "severity": each.severity.value,
            "code": each.code,
            "object": each.object,
            "message": each.message,
            "remedy": each.remedy,
        }
        for each in findings
    ]


def github(findings: Iterable[Finding]) -> str:
    """Return a workflow command for each, which shows it beside the line in a pull request."""
    return "\n".join(
        f"::{_ANNOTATIONS[each.severity]} file={_property(each.file)},line={each.line},"
        f"title={_property(each.code)}::{_data(f'{each.object}: {each.message}; {each.remedy}')}"
        for each in findings
    )


def _data(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    return _data(words).replace(":", "%3A").replace(",", "%2C")
