# SPDX-License-Identifier: GPL-2.0-only
"""Who is meant: end points as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cluster.points import WORKLOADS, Point, parse_point
from emu.errors import EndPointError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", Point("pod", "here", "web")),
        ("pod/web", Point("pod", "here", "web")),
        ("shop/web", Point("pod", "shop", "web")),
        ("pod/shop/web", Point("pod", "shop", "web")),
        ("pod/svc/web", Point("pod", "svc", "web")),  # a namespace of a reserved name needs `pod/`
        ("svc/web", Point("svc", "here", "web")),
        ("service/shop/web", Point("svc", "shop", "web")),
        ("deploy/shop/web", Point("deploy", "shop", "web")),
        ("deploy/web[2]", Point("deploy", "here", "web", 2)),
        ("shop/web[Deployment]", Point("deployment", "shop", "web")),
        ("shop/db[StatefulSet][0]", Point("statefulset", "shop", "db", 0)),
        ("web[Pod]", Point("pod", "here", "web")),
        ("shop/web[Service]", Point("svc", "shop", "web")),
        ("node/worker-1", Point("node", "", "worker-1")),
        ("ext/api.example.com", Point("ext", "", "api.example.com")),
    ],
)
def test_each_form_is_understood(text: str, expected: Point) -> None:
    """A name without a namespace is of the one that was chosen."""
    found = parse_point(text, "here")
    assert (found.namespace, found.name, found.index) == (expected.namespace, expected.name, expected.index)
    assert WORKLOADS.get(found.kind, found.kind) == WORKLOADS.get(expected.kind, expected.kind)


@pytest.mark.parametrize(
    "text", ["", "/", "a/b/c", "svc/", "node/", "node/a/b", "svc/a/b/c", "web[0]", "svc/web[0]", "node/a[1]"]
)
def test_what_has_no_such_form_is_refused(text: str) -> None:
    """Only workloads have pods to choose from."""
    with pytest.raises(EndPointError):
        parse_point(text)


def test_a_kind_that_has_no_pods_is_named() -> None:
    """With the one that was meant."""
    with pytest.raises(EndPointError, match="no kind Deploment has pods; did you mean 'Deployment'"):
        parse_point("shop/web[Deploment]")


@given(
    kind=st.sampled_from(["pod", "svc", "deploy", "sts", "ds", "rs", "rc", "job", "cronjob"]),
    namespace=st.sampled_from(["default", "shop", "kube-system"]),
    name=st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True),
)
def test_a_point_is_written_as_it_is_read(kind: str, namespace: str, name: str) -> None:
    """Whatever it is."""
    point = Point(kind, namespace, name)
    assert parse_point(str(point), "elsewhere") == point
