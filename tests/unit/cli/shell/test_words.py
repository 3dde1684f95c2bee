# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.cli.shell.words import Statement, duration, statements
from emu.errors import CommandError
from emu.sim.time import MILLISECOND, SECOND


class TestStatements:
    """A line is statements, and those are words."""

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("", []),
            ("  # only a remark", []),
            ("net", [Statement(("net",))]),
            ("a ping b; b ping a", [Statement(("a", "ping", "b")), Statement(("b", "ping", "a"))]),
            (";; net ;", [Statement(("net",))]),
            ("a ping b &", [Statement(("a", "ping", "b"), is_background=True)]),
            ("a ping b & net", [Statement(("a", "ping", "b"), is_background=True), Statement(("net",))]),
            ("a sh -c 'x; y & z' # why", [Statement(("a", "sh", "-c", "x; y & z"))]),
            ("a -> svc/web:80 SOMETIMES 1/2", [Statement(("a", "->", "svc/web:80", "SOMETIMES", "1/2"))]),
        ],
    )
    def test_are_between_semicolons(self, line: str, expected: list[Statement]) -> None:
        """Quotations are whole, remarks are nothing, `&` sends one beside the prompt."""
        assert list(statements(line)) == expected

    def test_open_quotation_is_refused(self) -> None:
        """Nothing is guessed."""
        with pytest.raises(CommandError, match="No closing quotation"):
            list(statements("a 'b"))


class TestDuration:
    """Times are written as people write them."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("5s", 5 * SECOND),
            ("5", 5 * SECOND),
            ("1m30s", 90 * SECOND),
            ("250ms", 250 * MILLISECOND),
            ("2h", 7200 * SECOND),
            ("0.000000001s", 1),
        ],
    )
    def test_is_exact(self, text: str, expected: int) -> None:
        """No float is between the digits and the ns."""
        assert duration(text) == expected

    @pytest.mark.parametrize("text", ["", "x", "-5s", "5 s", "1s1m", "\u0665s", "99999h"])
    def test_others_are_refused(self, text: str) -> None:
        """With an example of how it is written, or that it is too long."""
        with pytest.raises(CommandError, match=r"is no time; .* 1m30s|more than a year"):
            duration(text)
