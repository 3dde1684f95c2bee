# SPDX-License-Identifier: GPL-2.0-only
"""Pages that `expect` lines name are compared, too."""

from __future__ import annotations

from pathlib import Path

import pytest

import emu
from emu.cluster.cluster import Cluster
from emu.cluster.source import read_source
from emu.verify.difference.compare import Difference, compare
from emu.verify.difference.report import report

TOPOLOGY = Path(__file__).parents[4] / "topologies" / "ingress.yaml"
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: cart}}, policyTypes: [Ingress]}
"""
PAGES = ["https://shop.example/cart", "https://blog.shop.example/"]


def load() -> Cluster:
    """Return the shop behind an Ingress, before its steps."""
    found = emu.load(str(TOPOLOGY), steps=False)
    assert isinstance(found, Cluster)
    return found


@pytest.fixture(scope="module")
def difference(tmp_path_factory: pytest.TempPathFactory) -> Difference:
    """What becomes of the pages when a policy denies the cart."""
    path = tmp_path_factory.mktemp("policy") / "deny.yaml"
    path.write_text(DENY)
    before, after = load(), load()
    topology = getattr(read_source([str(path)]), "topology", None)
    assert topology is not None
    after.apply(*topology.objects)
    return compare(before, after, sources=["ext/laptop"], targets=["https://*"])


def test_pages_are_flows_by_their_urls(difference: Difference) -> None:
    """Asked by whom the line names, of both clusters."""
    assert sorted(row.flow for row in difference.rows) == sorted(f"ext/laptop -> {url}" for url in PAGES)


def test_whose_doing_it_is_that_a_page_is_gone_is_told(difference: Difference) -> None:
    """As it is found behind the controller; the other page is as it was."""
    (changed,) = difference.changed
    assert (changed.target.point, str(changed.before), str(changed.after)) == (PAGES[0], "ALWAYS", "NEVER")
    assert changed.cause.startswith("NETPOL_INGRESS NetworkPolicy shop/deny")


def test_the_report_of_a_page_is_that_of_a_flow(difference: Difference) -> None:
    """For machines: nothing but what every flow has."""
    told = report(difference, only_changes=True)["flows"]
    assert isinstance(told, list)
    (flow,) = told
    assert (flow["from"], flow["to"]) == ("ext/laptop", PAGES[0])
    assert (flow["after"]["verdict"], flow["after"]["result"], flow["after"]["reason"]) == (
        "NEVER",
        "refused",
        "NETPOL_INGRESS",
    )
