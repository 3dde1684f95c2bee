# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: what is asked, how it is shared, how it is written."""

from __future__ import annotations

import csv
import io
import itertools
import json
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from emu import lab
from emu.cluster.cluster import Cluster
from emu.errors import EndPointError, UnknownNameError
from emu.verify.matrix.matrix import Cell, Matrix, ask
from emu.verify.matrix.plan import make_plan
from emu.verify.matrix.write import FORMS, table
from emu.verify.probing import guests
from emu.verify.questions import Port
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = """
{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}, {name: n2}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: i, ports: [{containerPort: 80, name: http}, {containerPort: 81, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other}
spec: {hostNetwork: true, containers: [{name: c, image: busybox}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-clients}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: http}]}]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Two web servers that a policy guards, a client, and a pod on its node's network."""
    path: Path = tmp_path_factory.mktemp("matrix") / "cluster.yaml"
    path.write_text(CLUSTER, encoding="utf-8")
    found = lab.load(str(path))
    assert isinstance(found, Cluster)
    return found


def words(matrix: Matrix) -> dict[tuple[str, str, str], str]:
    """Return the answers by source, target and port."""
    return {(each.source, each.target, str(each.port)): each.word.value for each in matrix.cells}


def test_workloads_are_asked_on_their_own_ports(cluster: Cluster) -> None:
    """Named and numbered ones, each with its protocol; the policy decides."""
    found = ask(cluster, make_plan(cluster, sources=["default/*"], targets=["web-*"]))
    answers = words(found)
    assert answers["default/client", "default/web-*", "80/TCP"] == "ALWAYS"
    assert answers["default/web-*", "default/web-*", "80/TCP"] == "NEVER"
    assert answers["default/client", "default/web-*", "81/UDP"] == "NEVER"
    [refused] = [each for each in found.cells if each.word is Word.NEVER and each.source == "default/client"]
    assert refused.reason == "NETPOL_INGRESS"


def test_brute_force_answers_alike(cluster: Cluster) -> None:
    """And asks more, where something was shared."""
    plan = make_plan(cluster, ports=["80", "9999"], protocols=["TCP", "ICMP"])
    shared, forced = ask(cluster, plan), ask(cluster, plan, brute_force=True)
    assert shared.cells == forced.cells
    assert shared.questions == forced.questions == forced.asked
    assert shared.asked <= forced.asked


def test_each_pod_can_have_its_own_row(cluster: Cluster) -> None:
    """Then nobody is grouped."""
    plan = make_plan(cluster, ports=["http"], selector="app=web", each_pod=True)
    assert len(plan.sources) == len(plan.targets) == 2
    assert all(len(party.members) == 1 for party in plan.sources)


def test_addresses_outside_and_nodes_ask_and_are_asked(cluster: Cluster) -> None:
    """Strangers get a host that listens on what is asked."""
    plan = make_plan(cluster, ports=["80"], sources=["203.0.113.5"], targets=["web-*", "198.51.100.80"])
    guests.prepare(cluster, plan, listens=False)
    answers = words(ask(cluster, plan))
    assert answers == {
        ("203.0.113.5", "default/web-*", "80/TCP"): "NEVER",
        ("203.0.113.5", "198.51.100.80", "80/TCP"): "ALWAYS",
    }


def test_one_port_of_each_range_stands_for_all(cluster: Cluster) -> None:
    """Together they are all ports; rules and listeners are where ranges end."""
    plan = make_plan(cluster, ports=["all"])
    ends = [(port.number, plan.last[port]) for port in plan.ports]
    assert ends[0][0] == 1
    assert ends[-1][1] == 65535
    assert all(last + 1 == first for (_, last), (first, _) in itertools.pairwise(ends))
    assert (80, 80) in ends
    matrix = ask(cluster, plan)
    [cell] = [each for each in matrix.cells if each.word is Word.ALWAYS and each.target == "default/web-*"]
    assert (cell.source, matrix.ports_of(cell.port)) == ("default/client", "80")


def test_what_is_not_there_is_said(cluster: Cluster) -> None:
    """Names, ports and selectors."""
    with pytest.raises(UnknownNameError, match=r"nobody is called default/wob.*did you mean"):
        make_plan(cluster, sources=["default/wob"])
    with pytest.raises(EndPointError, match="no port of a container"):
        make_plan(cluster, ports=["https"])
    with pytest.raises(EndPointError, match="no selector"):
        make_plan(cluster, selector="app in (")


HTTP = Port(80, "TCP")
SOME = Matrix(
    (
        Cell("a", "b", HTTP, Fraction(1), None),
        Cell("a", "c|<d>", HTTP, Fraction(0), "NETPOL_INGRESS"),
        Cell("e", "b", HTTP, Fraction(2, 3), "NO_SOCKET"),
        Cell("e", "c|<d>", HTTP, None, "match xt_foo"),
        Cell("a", "b", Port(0, "ICMP"), Fraction(1), None),
    ),
    questions=5,
    asked=5,
)


def test_a_table_has_a_sign_for_each_answer() -> None:
    """With the meaning of the signs below, and the reasons."""
    lines = table(SOME).splitlines()
    assert lines[:6] == ["80/TCP", "    1 b", "    2 c|<d>", "     1   2", "a    .   X", "e  2/3   ?"]
    assert "because NETPOL_INGRESS, NO_SOCKET, match xt_foo" in lines


@pytest.mark.parametrize("form", ["csv", "json"])
def test_machines_get_every_cell(form: str) -> None:
    """The same keys in both."""
    text = FORMS[form](SOME)
    rows = json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text)))
    assert [list(row) for row in rows] == [
        ["from", "to", "port", "protocol", "verdict", "delivered", "reason"]
    ] * 5
    assert [row["verdict"] for row in rows] == ["ALWAYS", "NEVER", "SOMETIMES", "UNKNOWN", "ALWAYS"]


def test_pages_escape_what_names_hold() -> None:
    """Names are whoever's who wrote the manifests."""
    assert "<d>" not in FORMS["html"](SOME)
    assert "&lt;d&gt;" in FORMS["html"](SOME)
    assert "| c\\|<d> |" in FORMS["md"](SOME)
