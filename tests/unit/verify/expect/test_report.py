# SPDX-License-Identifier: GPL-2.0-only
"""Findings for other programs: JUnit's XML and GitHub's annotations."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from emu.cluster.expectation import parse_expectation
from emu.errors import Fault
from emu.verify.expect import Finding
from emu.verify.expect.finding import Pair
from emu.verify.expect.report import Refusal, annotation_of_fault, junit, summary, workflow_commands

MET: Final = Finding(
    parse_expectation("a -> b:80 NEVER", file="reach.yaml", line=7), is_met=True, got="NEVER", proof="passes"
)
UNMET: Final = Finding(
    parse_expectation("any pod{a=b} -> svc/x:80 ALWAYS", file="in, out/reach.yaml", line=9),
    is_met=False,
    got="SOMETIMES 2/3",
    reason="NO_SOCKET",
    place="default/x-1/eth0",
    words="50 % <of> \x01 them\nare & closed",
    pair=Pair("default/a", "svc/x:80"),
    asked=1,
)
REFUSED: Final = Refusal("apply -f x.yaml", "error: no", "reach.yaml", 3)


class TestJunit:
    """What CI servers read."""

    def test_is_xml_with_a_case_for_each_line(self) -> None:
        """Counted; with the file and line of each."""
        top = ET.fromstring(junit([MET, UNMET]))  # noqa: S314 - it is our own
        suite = top.find("testsuite")
        assert suite is not None
        counts = {"tests": "2", "failures": "1", "errors": "0", "skipped": "0"}
        assert (top.tag, top.attrib, suite.attrib) == (
            "testsuites",
            {"name": "emu test", **counts},
            top.attrib,
        )
        cases = suite.findall("testcase")
        assert [case.attrib for case in cases] == [
            {"classname": "reach", "name": "a -> b:80 NEVER", "file": "reach.yaml", "line": "7"},
            {
                "classname": "reach",
                "name": "any pod{a=b} -> svc/x:80 ALWAYS",
                "file": "in, out/reach.yaml",
                "line": "9",
            },
        ]
        assert cases[0].find("failure") is None

    def test_a_failure_says_what_and_why(self) -> None:
        """Its type is the reason; what XML cannot hold is replaced."""
        failure = ET.fromstring(junit([UNMET])).find(".//failure")  # noqa: S314 - it is our own
        assert failure is not None
        assert failure.attrib == {
            "message": "expected ALWAYS, got SOMETIMES 2/3: NO_SOCKET at default/x-1/eth0",
            "type": "NO_SOCKET",
        }
        assert "50 % <of> \ufffd them\nare & closed" in (failure.text or "")

    def test_a_refused_step_is_an_error(self) -> None:
        """For nothing that follows is as it was meant."""
        top = ET.fromstring(junit([MET], [REFUSED]))  # noqa: S314 - it is our own
        assert (top.get("tests"), top.get("errors"), top.get("failures")) == ("2", "1", "0")
        assert top.find(".//error[@message='error: no']") is not None


class TestGithub:
    """What GitHub's workflows read."""

    def test_unmet_lines_are_marked(self) -> None:
        """Escaped as workflow commands have to be; what is met is not mentioned."""
        (line,) = workflow_commands([MET, UNMET])
        assert line == (
            "::error file=in%2C out/reach.yaml,line=9,title=expectation not met::"
            "any pod{a=b} -> svc/x:80 ALWAYS: expected ALWAYS, got SOMETIMES 2/3: "
            "NO_SOCKET at default/x-1/eth0%0Afirst of them: default/a -> svc/x:80%0A"
            "50 %25 <of> \x01 them%0Aare & closed"
        )

    def test_so_are_refused_steps_and_wrong_input(self) -> None:
        """Each at its place."""
        step = "::error file=reach.yaml,line=3,title=step refused::apply -f x.yaml: error: no"
        assert list(workflow_commands([], [REFUSED])) == [step]
        fault = Fault("a:b.yaml", 2, "$.spec", "is wrong")
        assert (
            annotation_of_fault(fault) == "::error file=a%3Ab.yaml,line=2,title=wrong input::$.spec: is wrong"
        )


def test_the_summary_counts() -> None:
    """Lines that are met, and those that are not."""
    assert summary([MET]) == "1 expectation: 1 met, 0 not"
    assert summary([MET, UNMET], [REFUSED]) == "2 expectations: 1 met, 1 not, 1 step refused"
