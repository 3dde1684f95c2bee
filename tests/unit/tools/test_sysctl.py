# SPDX-License-Identifier: GPL-2.0-only
"""The text of `sysctl`, as procps-ng 4.0.2 takes and prints it."""

from __future__ import annotations

import pytest

from emu.errors import CommandError
from emu.kernel.sysctl import Sysctl
from emu.tools.sysctl import Arguments, Form, Malformed, Read, Write, parse, parse_settings, render


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("net.ipv4.ip_forward", Arguments((Read("net.ipv4.ip_forward"),))),
        ("-w net.ipv4.ip_forward=1", Arguments((Write("net.ipv4.ip_forward", "1"),))),
        ("net.ipv4.ip_forward=1", Arguments((Write("net.ipv4.ip_forward", "1"),))),
        ("net.a=1 net.b", Arguments((Write("net.a", "1"), Read("net.b")))),
        ("-w net.a net.b=1", Arguments((Malformed(), Write("net.b", "1")))),
        ("-n net.a", Arguments((Read("net.a"),), form=Form.VALUE)),
        ("-N net.a", Arguments((Read("net.a"),), form=Form.NAME)),
        ("-qw net.a=1", Arguments((Write("net.a", "1"),), quiet=True)),
        ("net.a=1 -q", Arguments((Write("net.a", "1"),), quiet=True)),
        ("-e net.a", Arguments((Read("net.a"),), ignore_unknown=True)),
        ("-a", Arguments(everything=True)),
        ("-ar bridge", Arguments(everything=True, pattern="bridge")),
        ("-arbridge", Arguments(everything=True, pattern="bridge")),
        ("--all --pattern=bridge --values", Arguments(everything=True, pattern="bridge", form=Form.VALUE)),
        ("net.a=1=2", Arguments((Write("net.a", "1=2"),))),
    ],
)
def test_arguments_are_read_as_sysctl_reads_them(line: str, asked: Arguments) -> None:
    """Options stand anywhere, short ones together; `=` makes a write with or without `-w`."""
    assert parse(line.split()) == asked


def test_blanks_around_the_sign_are_no_part_of_name_and_value() -> None:
    """`"NAME = VALUE"` in one argument is what `sysctl` prints, and it takes it back."""
    assert parse(["net.ipv4.ip_forward = 0"]).requests == (Write("net.ipv4.ip_forward", "0"),)
    assert parse(["net.ipv4.tcp_rmem=1\t2 3"]).requests == (Write("net.ipv4.tcp_rmem", "1\t2 3"),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "sysctl: no variables specified\nTry `sysctl --help' for more information."),
        ("-w", "sysctl: no variables specified\nTry `sysctl --help' for more information."),
        ("-z", "sysctl: invalid option -- 'z'"),
        ("--foo", "sysctl: unrecognized option '--foo'"),
        ("-r", "sysctl: option requires an argument -- 'r'"),
    ],
)
def test_wrong_arguments_are_refused_in_its_words(line: str, message: str) -> None:
    """The message is the one of the real tool, the status 1."""
    with pytest.raises(CommandError) as caught:
        parse(line.split())
    assert str(caught.value) == message
    assert caught.value.status == 1


def test_a_setting_is_printed_in_the_form_asked_for() -> None:
    """Name and value, value alone, name alone; a row of numbers is joined by tabs."""
    assert render("net.ipv4.ip_forward", 1) == "net.ipv4.ip_forward = 1"
    assert render("net/ipv4/conf/flannel.1/rp_filter", 0) == "net.ipv4.conf.flannel/1.rp_filter = 0"
    assert render("net.ipv4.tcp_rmem", (1, 2, 3)) == "net.ipv4.tcp_rmem = 1\t2\t3"
    assert render("net.ipv4.ip_local_reserved_ports", "") == "net.ipv4.ip_local_reserved_ports = "
    assert render("net.ipv4.ip_forward", 1, Form.VALUE) == "1"
    assert render("net.ipv4.ip_forward", 1, Form.NAME) == "net.ipv4.ip_forward"


def test_what_is_printed_of_all_names_sets_all_names() -> None:
    """The dump of one namespace, read into another, makes the second equal the first."""
    first, second = Sysctl(), Sysctl()
    for sysctl in (first, second):
        sysctl.device_added("flannel.1")
    first.set("net.ipv4.ip_forward", 1)
    first.set("net/ipv4/conf/flannel.1/rp_filter", 2)
    first.set("net.ipv4.tcp_rmem", "1 2 3")
    dump = "\n".join(render(file, first.get(file)) for file in first.files())
    for setting in parse_settings(dump):
        if first.get(setting.name) != second.get(setting.name):
            second.set(setting.name, setting.value)
    assert {file: second.get(file) for file in second.files()} == {
        file: first.get(file) for file in first.files()
    }


def test_comments_and_empty_lines_of_a_file_are_passed_over() -> None:
    """A `sysctl.conf` has comments of two kinds and names whose failure does not matter."""
    text = "# a\n; b\n\n net.ipv4.ip_forward = 1 \n-net.foo=2\nkernel.panic\n"
    assert parse_settings(text) == (Write("net.ipv4.ip_forward", "1"), Write("net.foo", "2"))
