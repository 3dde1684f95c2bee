# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from click.testing import CliRunner

from emu.cli.explain import explain
from emu.cluster.codes import reason_codes
from emu.errors import UnknownNameError


@pytest.mark.parametrize("code", ["NEIGH_FAILED", "neigh_failed"])
def test_a_page_is_printed_as_it_stands(code: str) -> None:
    """Whatever the case of the code."""
    result = CliRunner().invoke(explain, [code])
    assert result.exit_code == 0
    assert result.stdout.startswith("# NEIGH_FAILED\n\nNobody answered")


def test_without_a_code_all_are_listed() -> None:
    """A line for each, with the first sentence of its page."""
    result = CliRunner().invoke(explain, [])
    assert len(result.stdout.splitlines()) == len(reason_codes())
    assert "OTHERHOST                 The frame is for another MAC address" in result.stdout


def test_an_unknown_code_is_wrong_input() -> None:
    """With what was probably meant."""
    result = CliRunner().invoke(explain, ["NEIGH_FAILD"])
    assert isinstance(result.exception, UnknownNameError)
    assert "did you mean 'NEIGH_FAILED'?" in str(result.exception)
