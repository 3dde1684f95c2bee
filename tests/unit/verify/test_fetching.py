# SPDX-License-Identifier: GPL-2.0-only
"""Pages on every branch of chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import emu
from emu.cluster.cluster import Cluster
from emu.testing.whole_state import whole_state
from emu.verify.fetching import Fetcher
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from emu.lab import Network

TOPOLOGIES = Path(__file__).parents[3] / "topologies"


def load(name: str) -> Cluster:
    """Return a cluster before its steps."""
    found: Cluster | Network = emu.load(str(TOPOLOGIES / name), steps=False)
    assert isinstance(found, Cluster)
    return found


@pytest.fixture(scope="module")
def shop() -> Cluster:
    """A shop behind an Ingress with a certificate that its client trusts."""
    return load("ingress.yaml")


def test_a_page_is_fetched_and_all_is_as_it_was(shop: Cluster) -> None:
    """Tables, programs and the clock are, and nobody knows that it was asked."""
    before, length = whole_state(shop.fabric), shop.history_length
    found = Fetcher(shop).fetch("ext/laptop", "https://shop.example/cart")
    assert (found.word, str(found.delivered), found.codes) == (Word.ALWAYS, "1", ())
    assert whole_state(shop.fabric) == before
    assert shop.history_length == length


def test_a_name_that_nobody_knows_is_no_page(shop: Cluster) -> None:
    """What curl says is told."""
    found = Fetcher(shop).fetch("ext/laptop", "https://nowhere.example/")
    assert (found.word, found.codes) == (Word.NEVER, ())
    assert found.words == "GET https://nowhere.example/: Could not resolve host: nowhere.example"


def test_a_certificate_that_is_refused_is_no_page() -> None:
    """Whatever stands in it; both codes are told where the path is wrong, too."""
    found = Fetcher(load("failures/ingress-mismatch.yaml")).fetch("ext/laptop", "https://shop.example/")
    assert (found.word, found.codes) == (Word.NEVER, ("TLS_DEFAULT_CERT", "HTTP_NO_ROUTE"))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", ""),
        ("wrong-port", "NO_SOCKET"),
        ("no-endpoints", "SVC_NO_ENDPOINTS"),
        ("guarded", "NETPOL_INGRESS"),
    ],
)
def test_what_fails_behind_a_controller_is_the_reason(path: str, code: str) -> None:
    """It is asked from the controller, as `emu trace` of a URL does."""
    found = Fetcher(load("failures/ingress-bad-gateway.yaml")).fetch(
        "ext/laptop", f"http://shop.example/{path}"
    )
    assert found.codes == ((code,) if code else ())
    assert found.word is (Word.NEVER if code else Word.ALWAYS)


def test_a_page_of_one_of_two_pods_is_had_sometimes(tmp_path: Path) -> None:
    """Where chance decides who answers, the share of good pages is exact."""
    pods = "".join(
        "---\napiVersion: v1\nkind: Pod\n"
        f"metadata: {{name: {name}, labels: {{app: web}}, annotations: {{emu/serve: '{answer}'}}}}\n"
        "spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}\n"
        for name, answer in (("good", "tcp/80"), ("bad", "none"))
    )
    service = (
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
        "spec: {selector: {app: web}, ports: [{port: 80}]}\n"
    )
    path = tmp_path / "lab.yaml"
    path.write_text(f"{pods}{service}")
    cluster = emu.load(str(path))
    assert isinstance(cluster, Cluster)
    found = Fetcher(cluster).fetch("good", "http://web.default/")
    assert (found.word, str(found.delivered)) == (Word.SOMETIMES, "1/2")
