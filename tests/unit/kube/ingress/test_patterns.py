# SPDX-License-Identifier: GPL-2.0-only
"""No regular expression of an Ingress can keep the emulator busy."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps.http.message import Request, Response
from emu.fabric.userland import Userland
from emu.kube.api.objects import Ingress
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.network import (
    BackendPort,
    BackendService,
    HostRule,
    HttpPath,
    HttpRule,
    IngressBackend,
    IngressSpec,
)
from emu.kube.api.store import Store
from emu.kube.ingress import nginx_annotations, patterns
from emu.kube.ingress.configuration import CLASS, decide
from emu.kube.ingress.controller import Known
from emu.kube.ingress.proxy import Proxy
from emu.kube.ingress.servers import NOWHERE, Backend, Configuration, Handling, Location, Server
from emu.kube.ingress.settings import Arguments, Options
from emu.sim.loop import EventLoop

ENDLESS = [
    "/x(a+)+$",
    "/x(a|a)*$",
    "/x(a|aa)+$",
    "/x(.*)*b",
    "/xa?(a?){60}a{60}$",
    "/x(?=(a+)+c)",
    "/x(a*)*(b)",
]
USUAL = [
    "/",
    "/something(/|$)(.*)",
    "/(.*)/(.*)/(.*)",
    "/api/v[0-9]+/users/([^/]+)/?$",
    r"/(\d{1,3}\.){3}\d{1,3}",
    "/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}.*",
    "/(en|de|fr)(/.*)?$",
]


@pytest.mark.parametrize("path", ENDLESS)
def test_what_doubles_with_each_letter_is_not_searched(path: str) -> None:
    """It is told by name, a long path is beyond it, one of other letters is not."""
    assert "may take more than 10000000 steps" in patterns.fault(path)
    began = time.perf_counter()
    location = Location(path, "regex", NOWHERE)
    asked = "/x" + "a" * 60 + "b"
    assert location.covers(asked)
    assert location.is_beyond(asked)
    assert location.rewritten(asked) is None
    assert not location.covers("/other")
    assert time.perf_counter() - began < 1


def test_a_short_path_is_searched_all_the_same() -> None:
    """The steps are those of the path that is asked for."""
    location = Location("/x(a+)+$", "regex", NOWHERE)
    assert not location.is_beyond("/xaaaa")
    assert [location.covers(path) for path in ("/xaaaa", "/xaaab", "/x")] == [True, False, False]


@pytest.mark.parametrize("path", USUAL)
def test_what_people_write_is_searched(path: str) -> None:
    """In paths of 200 letters, too."""
    assert patterns.fault(path) == ""
    assert not patterns.is_beyond(path, "/" + "a/" * 100)


@pytest.mark.parametrize("path", ["/fo(", "/[[:alpha:]]+", "/" + "(" * 2000 + ")" * 2000, "/a" * 3000])
def test_what_is_no_expression_is_told(path: str) -> None:
    """And there is nothing to search with."""
    assert "left out" in patterns.fault(path)
    assert patterns.compiled(path) is None


PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "a?", "a*"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,3}", "*?"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(piece=PIECES, end=st.sampled_from(["", "c", "$"]), letters=st.integers(0, 200))
def test_whatever_is_searched_ends_soon(piece: str, end: str, letters: int) -> None:
    """Ten million steps are less than a few seconds."""
    began = time.process_time()
    Location(f"/{piece}{end}", "regex", NOWHERE).covers("/" + "a" * letters + "d")
    assert time.process_time() - began < 5


def test_a_request_that_is_beyond_gets_a_500() -> None:
    """As nginx answers where PCRE gives up."""
    server = Server("_", (Location("/x(a+)+$", "regex", Backend("default", "web", 80), Handling()),))
    proxy = Proxy(Known(Configuration({"_": server}), Options()), Userland(), random.Random(1))
    found = proxy.plain(Request("GET", "/x" + "a" * 60 + "b", (("Host", "w"),)))
    assert isinstance(found, Response)
    assert found.status == 500


def test_a_path_that_nginx_would_refuse_is_left_out_and_told() -> None:
    """The other paths of the host stay."""
    backend = IngressBackend(BackendService("web", BackendPort(number=80)))
    rule = HttpRule(tuple(HttpPath(backend, path=path) for path in ("/fo(", "/x(a+)+$", "/ok")))
    marks = {nginx_annotations.PREFIX + nginx_annotations.USE_REGEX: "true", CLASS: "nginx"}
    store = Store(EventLoop(), 0, random.Random(1))
    store.put(
        Ingress(Meta("web", "shop", annotations=marks), IngressSpec(rules=(HostRule("w.example", rule),)))
    )
    found = decide(store, Arguments(), Handling())
    assert [each.path for each in found.servers["w.example"].locations] == ["/x(a+)+$", "/ok"]
    assert found.complaints == tuple(
        f"Ingress shop/web: path of w.example: {patterns.fault(path)}" for path in ("/fo(", "/x(a+)+$")
    )
