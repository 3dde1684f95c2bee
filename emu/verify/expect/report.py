# SPDX-License-Identifier: GPL-2.0-only
"""Findings in the forms that other programs read: JUnit's XML, and GitHub's annotations."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.errors import Fault
    from emu.verify.expect.finding import Finding

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SUITE: Final = "emu test"


class Refusal(NamedTuple):
    """A step that was refused, so that the cluster is not as it was meant to be."""

    text: str
    words: str
    file: str = ""
    line: int = 0

    @property
    def explained(self) -> str:
        """Two lines: which step, and what was said."""
        place = f"   {self.file}:{self.line}" if self.file else ""
        return f"FAIL  step {self.text}{place}\n      {self.words}"


def summary(findings: Sequence[Finding], refusals: Sequence[Refusal] = ()) -> str:
    """Return how many lines are met, in a line."""
    unmet = sum(not each.is_met for each in findings)
    word = "expectation" if len(findings) == 1 else "expectations"
    steps = f", {len(refusals)} step{'s' if len(refusals) > 1 else ''} refused" if refusals else ""
    return f"{len(findings)} {word}: {len(findings) - unmet} met, {unmet} not{steps}"


# --- JUnit ---


def junit(findings: Sequence[Finding], refusals: Sequence[Refusal] = ()) -> bytes:
    """Return a report as CI servers read it: a test case for each line, an error for each refused step."""
    unmet = sum(not each.is_met for each in findings)
    counts = {
        "tests": str(len(findings) + len(refusals)),
        "failures": str(unmet),
        "errors": str(len(refusals)),
        "skipped": "0",
    }
    top = ET.Element("testsuites", {"name": _SUITE, **counts})
    suite = ET.SubElement(top, "testsuite", {"name": _SUITE, **counts})
    for refused in refusals:
        case = _case(suite, f"step {refused.text}", refused.file, refused.line)
        ET.SubElement(case, "error", {"message": _plain(refused.words), "type": "step"})
    for each in findings:
        expected = each.expectation
        case = _case(suite, expected.text, expected.file, expected.line)
        if each.is_met:
            if each.proof:
                ET.SubElement(case, "system-out").text = _plain(each.proof)
            continue
        attributes = {"message": _plain(_message(each)), "type": each.reason or each.got}
        ET.SubElement(case, "failure", attributes).text = _plain(each.explain())
    ET.indent(top)
    octets: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return octets + b"\n"


def _case(suite: ET.Element, name: str, file: str, line: int) -> ET.Element:
    attributes = {"classname": _plain(PurePath(file).stem or "expect"), "name": _plain(name)}
    if file:
        attributes |= {"file": _plain(file), "line": str(line)}
    return ET.SubElement(suite, "testcase", attributes)


def _plain(text: str) -> str:
    """Return text without what XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _message(finding: Finding) -> str:
    """Return what was expected, what came of it, and why."""
    why = f": {finding.reason}" if finding.reason else ""
    at = f" at {finding.place}" if finding.place else ""
    return f"expected {finding.expectation.verdict}, got {finding.got}{why}{at}"


# --- GitHub ---


def workflow_commands(findings: Iterable[Finding], refusals: Iterable[Refusal] = ()) -> Iterator[str]:
    """Yield the workflow commands that mark lines that are not met, and steps that were refused."""
    for refused in refusals:
        yield _command(f"{refused.text}: {refused.words}", refused.file, refused.line, "step refused")
    for each in findings:
        if not each.is_met:
            expected = each.expectation
            words = "\n".join((f"{expected.text}: {_message(each)}", *each.details))
            yield _command(words, expected.file, expected.line, "expectation not met")


def annotation_of_fault(fault: Fault) -> str:
    """Return the workflow command that marks what is wrong with a document."""
    return _command(f"{fault.path}: {fault.message}", fault.file, fault.line, "wrong input")


def _command(words: str, file: str, line: int, title: str) -> str:
    place = f"file={_property(file)},line={line}," if file else ""
    return f"::error {place}title={_property(title)}::{_data(words)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
