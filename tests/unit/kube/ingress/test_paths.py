# SPDX-License-Identifier: GPL-2.0-only
"""Paths are compared as nginx decodes them."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.ingress.paths import escaped, normalised


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("/%61dmin", "/admin"),
        ("/a%2Fb", "/a/b"),
        ("/a%2fb%3Fc%23d%25", "/a/b?c#d%"),
        ("/%2561", "/%61"),
        ("//a///b//", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/%2e%2E/c", "/c"),
        ("/a//../c", "/c"),
        ("/a/..", "/"),
        ("/.a/..b/...", "/.a/..b/..."),
        ("/a#b", "/a"),
        ("/caf%C3%A9", "/café"),
        ("/caf\u00c3\u00a9", "/café"),  # its octets, a letter each
        ("/..", None),
        ("/a/../..", None),
        ("/%2e%2e/etc", None),
        ("/%", None),
        ("/%4", None),
        ("/%zz", None),
        ("/a%00", None),
    ],
)
def test_a_path_is_decoded_and_walked_through(path: str, found: str | None) -> None:
    """None is a 400. Source: `ngx_http_parse_complex_uri`."""
    assert normalised(path) == found


@given(st.text("abé./?#% ", max_size=12).map("/".__add__))
def test_what_is_escaped_is_read_as_it_was(path: str) -> None:
    """By whoever gets it."""
    assert unquote(escaped(path)) == path
    again = normalised(escaped(path))
    assert again is None or again == normalised(escaped(again))
