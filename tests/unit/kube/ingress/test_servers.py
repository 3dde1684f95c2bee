# SPDX-License-Identifier: GPL-2.0-only
"""Which location a request meets."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.ingress.servers import (
    NOWHERE,
    Configuration,
    Handling,
    Location,
    Match,
    Server,
    host_of,
    ordered,
)


def server(*paths: tuple[str, Match]) -> Server:
    """Return a host with some paths."""
    return Server("web.example", ordered([Location(path, match, NOWHERE) for path, match in paths]))


def met(found: Server, path: str) -> str:
    """Return the path of the location that a request meets, with its match; empty for none."""
    location = found.location(path)
    return "" if location is None else f"{location.match} {location.path}"


@pytest.mark.parametrize(
    ("match", "path", "request_", "is_met"),
    [
        ("prefix", "/", "/anything", True),
        ("prefix", "/foo", "/foo", True),
        ("prefix", "/foo", "/foo/", True),
        ("prefix", "/foo", "/foo/x", True),
        ("prefix", "/foo", "/foobar", False),
        ("prefix", "/foo", "/FOO", False),
        ("prefix", "/foo/", "/foo", True),
        ("prefix", "/aaa/bb", "/aaa/bbb", False),
        ("prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
        ("exact", "/foo", "/foo", True),
        ("exact", "/foo", "/foo/", False),
        ("exact", "/foo/", "/foo", False),
        ("exact", "/foo/", "/foo/", True),
        ("octets", "/foo", "/foobar", True),
        ("regex", "/foo(/|$)(.*)", "/foo/x", True),
        ("regex", "/foo(/|$)(.*)", "/FOO", True),
        ("regex", "/foo(/|$)(.*)", "/foobar", False),
        ("regex", "/fo(", "/fo(x", False),
        ("regex", "/[[:alpha:]]", "/a", False),
    ],
)
def test_paths_are_met_as_the_api_says(match: Match, path: str, request_: str, *, is_met: bool) -> None:
    """The examples of the documentation of Ingress, and nginx' own kinds."""
    assert Location(path, match, NOWHERE).covers(request_) is is_met


def test_the_longest_path_wins_and_an_exact_one_before_all() -> None:
    """In whatever order they were written."""
    found = server(("/", "prefix"), ("/aaa", "prefix"), ("/aaa/bbb", "prefix"), ("/aaa/bbb", "exact"))
    assert met(found, "/aaa/bbb") == "exact /aaa/bbb"
    assert met(found, "/aaa/bbb/") == "prefix /aaa/bbb"
    assert met(found, "/aaa/ccc") == "prefix /aaa"
    assert met(found, "/ccc") == "prefix /"
    assert met(server(("/aaa", "prefix")), "/ccc") == ""


def test_one_regular_expression_makes_all_paths_of_a_host_such() -> None:
    """Then the letters' case does not matter, and what is longer is tried first."""
    found = server(("/api/v[0-9]+", "regex"), ("/API", "octets"))
    assert met(found, "/api/v2/x") == "regex /api/v[0-9]+"
    assert met(found, "/api/other") == "regex /API"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("foo.example", "foo.example"),
        ("FOO.example:8443", "foo.example"),
        ("a.foo.example", "*.foo.example"),
        ("b.a.foo.example", "_"),
        ("b.foo.example", "b.foo.example"),
        ("other", "_"),
        ("10.0.0.1", "_"),
        ("[fd00::1]:80", "_"),
    ],
)
def test_a_host_is_looked_for_exactly_then_by_its_first_label(host: str, name: str) -> None:
    """A wildcard stands for exactly one label, and the server for all others comes last."""
    names = ("foo.example", "*.foo.example", "b.foo.example", "_")
    assert Configuration({each: Server(each) for each in names}).server(host).host == name


def test_a_host_field_has_a_name_without_its_port() -> None:
    """And without a final dot, in small letters."""
    assert [host_of(each) for each in ("Web.Example:80", "web.", "[::1]:80", "")] == [
        "web.example",
        "web",
        "::1",
        "",
    ]


@pytest.mark.parametrize(
    ("path", "target", "request_", "rewritten"),
    [
        ("/something(/|$)(.*)", "/$2", "/something", "/"),
        ("/something(/|$)(.*)", "/$2", "/something/new", "/new"),
        ("/something", "/", "/something/new", "/"),
        ("/x", "", "/x/y", None),
        ("/x", "/y", "/z", None),
        ("/x(.*)", "$9", "/x/y", "/"),
        ("/x/(.*)", "/$1", "/x/a b?c", "/a%20b%3Fc"),
        ("/x/(.*)", "/y?of=$1", "/x/a&b", "/y?of=a&b"),
    ],
)
def test_a_path_is_rewritten_by_its_groups(
    path: str, target: str, request_: str, rewritten: str | None
) -> None:
    """As the documentation of rewrite-target has it."""
    location = Location(path, "regex", NOWHERE, attrs.evolve(Handling(), rewrite=target))
    assert location.rewritten(request_) == rewritten


ELEMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(paths=st.lists(ELEMENTS, min_size=1, max_size=5, unique=True), asked=ELEMENTS)
def test_prefixes_agree_with_the_slow_and_obvious_way(paths: list[str], asked: str) -> None:
    """Of the paths whose elements begin the request's, the one with the most of them."""

    def elements(path: str) -> list[str]:
        return [each for each in path.split("/") if each]

    wanted = elements(asked)
    begins = [path for path in paths if wanted[: len(elements(path))] == elements(path)]
    best = max((len(elements(path)) for path in begins), default=-1)
    found = server(*((path, "prefix") for path in paths)).location(asked)
    assert (-1 if found is None else len(elements(found.path))) == best
