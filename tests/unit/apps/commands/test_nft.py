# SPDX-License-Identifier: GPL-2.0-only
"""`nft` in a namespace: what it enters, lists and refuses, and what packets make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.apps import commands
from emu.errors import CommandError

if TYPE_CHECKING:
    from tests.unit.apps.commands.conftest import Machines


def test_rules_are_entered_and_listed(machines: Machines) -> None:
    """One command each, as on a shell."""
    for command in (
        "nft add table ip gate",
        "nft add chain ip gate in '{ type filter hook input priority 0 ; policy drop ; }'",
        "nft add set ip gate friends '{ type ipv4_addr ; }'",
        "nft add element ip gate friends '{ 10.0.0.2, 10.0.0.1 }'",
        "nft add rule ip gate in ip saddr @friends accept",
        "nft insert rule ip gate in iif lo accept",
    ):
        assert not machines.run(command)
    assert machines.run("nft list ruleset") == (
        "table ip gate {\n"
        "\tset friends {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1, 10.0.0.2 }\n\t}\n\n"
        "\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n"
        '\t\tiif "lo" accept\n\t\tip saddr @friends accept\n\t}\n}\n'
    )
    assert machines.run("nft -a list chain ip gate in").count("# handle") == 3
    assert machines.run("nft list tables") == "table ip gate\n"


@pytest.mark.parametrize("switches", ["-pa", "-ap", "-p -a", "-Nsay"])
def test_switches_may_stand_in_one_word(machines: Machines, switches: str) -> None:
    """Those without effect hide none behind them."""
    machines.run("nft add table ip gate")
    assert machines.run(f"nft {switches} list ruleset") == "table ip gate { # handle 1\n}\n"


def test_objects_are_listed_alone(machines: Machines) -> None:
    """Each in its table, and nothing but it."""
    machines.run("nft add table ip t")
    machines.run("nft add counter ip t hits '{ packets 3 bytes 90 ; }'")
    machines.run("nft add map ip t m '{ type inet_service : mark ; }'")
    assert (
        machines.run("nft list map ip t m")
        == "table ip t {\n\tmap m {\n\t\ttype inet_service : mark\n\t}\n}\n"
    )
    text = "table ip t {\n\tcounter hits {\n\t\tpackets 3 bytes 90\n\t}\n}\n"
    assert machines.run("nft reset counter ip t hits") == text
    assert machines.run("nft list counters") == text.replace("3 bytes 90", "0 bytes 0")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("nft", "nft: no command specified"),
        ("nft -x", "nft: invalid option -- 'x'"),
        ("nft -f rules.nft", "nft -f is not modelled"),
        ("nft -pj list ruleset", "nft -j is not modelled"),
        ("nft -pax list ruleset", "nft: invalid option -- 'x'"),
        ("nft list foo", "Error: syntax error, unexpected string"),
        ("nft monitor", "Error: monitor is not modelled"),
    ],
)
def test_arguments_that_make_no_sense_are_told_before_anything_runs(command: str, complaint: str) -> None:
    """In the words of the real tool, where it has any."""
    assert commands.check(command.split()) == complaint


def test_what_is_missing_is_told_when_it_runs(machines: Machines) -> None:
    """With status 1, and nothing is changed."""
    command = "nft add rule ip nix in accept"
    assert commands.check(command.split()) is None
    with pytest.raises(CommandError) as caught:
        machines.run(command)
    assert caught.value.status == 1
    assert str(caught.value) == (
        "Error: Could not process rule: No such file or directory ('nix')\n"
        "add rule ip nix in accept\n"
        "            ^^^"
    )
