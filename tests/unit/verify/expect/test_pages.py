# SPDX-License-Identifier: GPL-2.0-only
"""Lines of `expect` about URLs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import emu
from emu.cluster.cluster import Cluster
from emu.cluster.expectation import parse_expectation
from emu.errors import EndPointError, ExpectationError, UnknownNameError
from emu.verify.expect import Checker

TOPOLOGIES = Path(__file__).parents[4] / "topologies"
GATEWAY = "failures/ingress-bad-gateway.yaml"
MISMATCH = "failures/ingress-mismatch.yaml"


@cache
def checker(name: str) -> Checker:
    """Return who checks lines about a topology, before its steps."""
    return Checker(emu.load(str(TOPOLOGIES / name), steps=False))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ingress.yaml", "ext/laptop -> https://shop.example/ ALWAYS"),
        ("ingress.yaml", "ext/laptop -> HTTPS://shop.example/cart?a=b ALWAYS"),
        ("ingress.yaml", "ext/laptop -> http://nowhere.example/ NEVER because DNS_NXDOMAIN"),
        (GATEWAY, "ext/laptop -> http://shop.example/ ALWAYS"),
        (
            "failures/ingress-bad-gateway.yaml",
            "ext/laptop -> http://shop.example/wrong-port NEVER because NO_SOCKET",
        ),
        (GATEWAY, "ext/laptop -> http://shop.example:81/ NEVER"),
        (
            "failures/ingress-mismatch.yaml",
            "ext/laptop -> https://shop.example/cart NEVER because TLS_DEFAULT_CERT",
        ),
        (MISMATCH, "ext/laptop -> https://shop.example/ NEVER because HTTP_NO_ROUTE"),
        ("two-workers.yaml", "client -> http://web.default/ ALWAYS"),
        ("two-workers.yaml", "any pod in default -> http://web/ ALWAYS"),
    ],
)
def test_a_page_is_what_it_is_expected_to_be(name: str, line: str) -> None:
    """Of the way and of what is said on it: curl has to be content."""
    found = checker(name).check(parse_expectation(line))
    assert found, found.explain()


def test_a_denial_behind_a_controller_is_proved() -> None:
    """Without the policies the page is good, on a copy."""
    line = "ext/laptop -> http://shop.example/guarded NEVER because NETPOL_INGRESS"
    found = checker(GATEWAY).check(parse_expectation(line))
    assert (found.is_met, found.proof) == (True, "passes without the policies")


def test_a_denial_of_what_is_no_page_anyway_proves_nothing(tmp_path: Path) -> None:
    """Nobody listens behind the policy: without it the controller would answer 502."""
    text = (TOPOLOGIES / GATEWAY).read_text()
    path = tmp_path / "lab.yaml"
    path.write_text(text.replace("emu/serve: tcp/8080=guarded", "emu/serve: none"))
    line = "ext/laptop -> http://shop.example/guarded NEVER because NETPOL_INGRESS"
    found = Checker(emu.load(str(path), steps=False)).check(parse_expectation(line))
    assert (found.is_met, found.got, found.reason) == (False, "VACUOUS", "NO_SOCKET")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "ext/laptop -> http://shop.example/no-endpoints ALWAYS",
            (
                "FAIL  ext/laptop -> http://shop.example/no-endpoints expected ALWAYS "
                "got NEVER   SVC_NO_ENDPOINTS"
            ),
        ),
        (
            "ext/laptop -> http://shop.example/wrong-port NEVER because SVC_NO_ENDPOINTS",
            (
                "FAIL  ext/laptop -> http://shop.example/wrong-port "
                "expected NEVER because SVC_NO_ENDPOINTS got NEVER   NO_SOCKET"
            ),
        ),
        (
            "ext/laptop -> http://shop.example/ NEVER",
            "FAIL  ext/laptop -> http://shop.example/ expected NEVER got ALWAYS",
        ),
    ],
)
def test_a_page_that_is_otherwise_is_told(line: str, told: str) -> None:
    """What was expected, what came, and why."""
    found = checker(GATEWAY).check(parse_expectation(line))
    assert (bool(found), found.line) == (False, told)


def test_what_is_behind_a_page_that_fails_is_told() -> None:
    """The answer, whose rules it follows, and what fails behind them."""
    line = "ext/laptop -> http://shop.example/wrong-port ALWAYS"
    (words,) = checker(GATEWAY).check(parse_expectation(line)).details
    assert words.startswith("GET http://shop.example/wrong-port: 502; Ingress shop/shop sends ")
    assert "nobody listens on TCP 8081 in Pod shop/web" in words


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("client -> https:// ALWAYS", "'https://' is no URL: "),
        ("client -> http://web/ NO-NAT", "NO-NAT is of packets, and a URL is of a page"),
        (
            "client -> http://web/ ALWAYS with 9 octets",
            "'with 9 octets' is of packets, and a URL is of a page",
        ),
        ("http://web/ -> client ALWAYS", "'http://web/' is a URL: it is asked for, and asks nobody"),
    ],
)
def test_what_cannot_be_said_of_a_page_is_refused(line: str, fault: str) -> None:
    """When the line is read."""
    with pytest.raises(ExpectationError) as caught:
        parse_expectation(line)
    assert str(caught.value).startswith(fault)


def test_a_low_level_network_has_no_pages() -> None:
    """Nobody there has what a page needs: names, and a program that serves one."""
    with pytest.raises(EndPointError, match="pages are asked of clusters"):
        checker("two-nodes-by-vxlan.yaml").check(parse_expectation("pod1 -> http://pod2/ ALWAYS"))


def test_who_asks_for_a_page_has_to_be_there() -> None:
    """As for anything else."""
    with pytest.raises(UnknownNameError):
        checker("two-workers.yaml").check(parse_expectation("nobody -> http://web.default/ ALWAYS"))


def test_an_address_of_nobody_becomes_a_host_outside(tmp_path: Path) -> None:
    """It listens on the port of the URL; the way is there, and what it says is no page."""
    path = tmp_path / "pod.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: nginx}]}\n"
    )
    cluster = emu.load(str(path))
    assert isinstance(cluster, Cluster)
    found = Checker(cluster).check(parse_expectation("a -> http://203.0.113.77:8080/x ALWAYS"))
    assert (found.got, found.details[0].partition(": ")[0]) == ("NEVER", "GET http://203.0.113.77:8080/x")
