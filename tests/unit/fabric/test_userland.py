# SPDX-License-Identifier: GPL-2.0-only
"""What a program sees beside its network."""

from __future__ import annotations

import pytest

from emu.fabric.userland import Userland, absolute


def test_a_file_is_read_by_any_path_that_leads_to_it() -> None:
    """Empty parts, `.` and `..` change nothing."""
    userland = Userland(files={"/etc/hosts": "127.0.0.1\tlocalhost\n"})
    for path in ("/etc/hosts", "etc/hosts", "/etc//hosts", "/etc/./hosts", "/usr/../etc/hosts"):
        assert userland.read(path) == "127.0.0.1\tlocalhost\n"


def test_a_file_that_does_not_exist_says_so() -> None:
    """As open(2) does."""
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        Userland().read("/etc/resolv.conf")


def test_a_file_that_was_written_can_be_read() -> None:
    """By the path as seen from the root."""
    userland = Userland()
    userland.write("index.html", "hello")
    assert userland.files == {"/index.html": "hello"}


def test_nothing_is_above_the_root() -> None:
    """`..` there leads to itself."""
    assert absolute("../../etc") == "/etc"
