# SPDX-License-Identifier: GPL-2.0-only
"""The steps that change objects: apply, delete, label and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.cluster import Cluster
from emu.kube.api.objects import ConfigMap, NetworkPolicy, Pod, Service
from tests.unit.kube.kubelet.lab import pod, start

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: b}
"""


@pytest.fixture
def cluster() -> Cluster:
    """A cluster with two pods."""
    return start(pod("web"), pod("lone"))


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    """A file with a policy and another object."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


class TestApply:
    """Files, as kubectl applies them."""

    def test_says_what_became_of_each_object(self, cluster: Cluster, manifest: str) -> None:
        """Created, configured or unchanged."""
        made = cluster.do(["apply", "-f", manifest]).stdout
        assert made == "networkpolicy.networking.k8s.io/deny created\nconfigmap/settings created\n"
        assert "configmap/settings unchanged" in cluster.do(["apply", "-f", manifest]).stdout
        assert cluster.store.find(NetworkPolicy, "deny", "shop") is not None

    def test_a_change_is_told(self, cluster: Cluster, manifest: str, tmp_path: Path) -> None:
        """And takes the place of what was there."""
        cluster.do(["apply", "-f", manifest])
        (tmp_path / "policy.yaml").write_text(POLICY.replace("{a: b}", "{a: c}"))
        assert "configmap/settings configured" in cluster.do(["apply", "-f", manifest]).stdout
        assert cluster.store.get(ConfigMap, "settings", "default").data == {"a": "c"}

    def test_a_namespace_is_that_of_objects_without_one(self, cluster: Cluster, manifest: str) -> None:
        """With `-n`."""
        cluster.do(["apply", "-n", "shop", "-f", manifest])
        assert cluster.store.find(ConfigMap, "settings", "shop") is not None

    def test_what_is_wrong_with_a_file_is_told(self, cluster: Cluster, tmp_path: Path) -> None:
        """With its place; nothing is done."""
        (tmp_path / "bad.yaml").write_text(POLICY.replace("podSelector", "podSelectr"))
        finished = cluster.do(["apply", "-f", str(tmp_path / "bad.yaml")])
        assert (finished.status, cluster.store.count(NetworkPolicy)) == (1, 0)
        assert "podSelectr" in finished.stderr

    def test_is_done_again_with_the_rest(self, cluster: Cluster, manifest: str, tmp_path: Path) -> None:
        """What was read is remembered: the file may be gone."""
        cluster.do(["apply", "-f", manifest])
        (tmp_path / "policy.yaml").unlink()
        again = cluster.again()
        assert isinstance(again, Cluster)
        assert again.store.find(NetworkPolicy, "deny", "shop") is not None


class TestDelete:
    """Objects of any kind, by their names, labels or files."""

    @pytest.mark.parametrize(
        "words",
        [
            ["networkpolicy/deny", "-n", "shop"],
            ["netpol", "deny", "-n", "shop"],
            ["netpol/shop/deny"],
            ["netpol", "--all", "-n", "shop"],
        ],
    )
    def test_finds_what_kubectl_would_find(self, cluster: Cluster, manifest: str, words: list[str]) -> None:
        """Kinds have their short names; NAMESPACE/NAME is understood, too."""
        cluster.do(["apply", "-f", manifest])
        expected = 'networkpolicy.networking.k8s.io "deny" deleted from shop namespace\n'
        assert cluster.do(["delete", *words]).stdout == expected
        assert cluster.store.count(NetworkPolicy) == 0

    def test_takes_away_what_files_hold(self, cluster: Cluster, manifest: str) -> None:
        """What is not there any more is told."""
        cluster.do(["apply", "-f", manifest])
        assert cluster.do(["delete", "-f", manifest]).status == 0
        assert cluster.store.count(NetworkPolicy) == 0
        missing = cluster.do(["delete", "-f", manifest])
        assert (missing.status, missing.stderr.count("(NotFound)")) == (1, 2)
        assert cluster.do(["delete", "-f", manifest, "--ignore-not-found"]).status == 0

    def test_chooses_pods_by_labels(self, cluster: Cluster) -> None:
        """Those that meet the selector."""
        assert cluster.do(["delete", "pod", "-l", "app=web", "--force"]).stdout.count("deleted") == 1
        assert [each.metadata.name for each in cluster.store.list(Pod, "default")] == ["lone"]

    def test_says_what_is_not_there(self, cluster: Cluster) -> None:
        """In the words of the API server."""
        finished = cluster.do(["delete", "netpol/none"])
        assert (
            finished.stderr
            == 'Error from server (NotFound): networkpolicies.networking.k8s.io "none" not found\n'
        )

    def test_what_is_there_goes_though_something_else_is_not(self, cluster: Cluster) -> None:
        """Each by itself; who is not there is no failure if that was said."""
        finished = cluster.do(["delete", "pod/nobody", "pod/lone", "--force"])
        assert (finished.status, finished.stdout.count("deleted")) == (1, 1)
        assert "(NotFound)" in finished.stderr
        assert cluster.do(["delete", "pod", "nobody", "--ignore-not-found"]).status == 0
        assert cluster.do(["delete", "pod/web", "--grace-period=-5"]).status == 1


class TestLabel:
    """Labels come, change and go."""

    @pytest.mark.parametrize(
        ("words", "stdout", "labels"),
        [
            (["pod/web", "tier=a"], "pod/web labeled\n", {"app": "web", "tier": "a"}),
            (["pod", "web", "app=x", "--overwrite"], "pod/web labeled\n", {"app": "x"}),
            (["pod/web", "app-"], "pod/web unlabeled\n", {}),
            (["pod/web", "app=web"], "pod/web not labeled\n", {"app": "web"}),
            (["pods", "-l", "app=web", "tier=a"], "pod/web labeled\n", {"app": "web", "tier": "a"}),
        ],
    )
    def test_is_told_as_kubectl_tells_it(
        self, cluster: Cluster, words: list[str], stdout: str, labels: dict[str, str]
    ) -> None:
        """Each object in a line."""
        assert cluster.do(["label", *words]).stdout == stdout
        assert cluster.store.get(Pod, "web", "default").metadata.labels == labels

    @pytest.mark.parametrize(
        ("words", "stderr"),
        [
            (["pod/web", "app=x"], "error: 'app' already has a value (web), and --overwrite is false\n"),
            (["pod/web", "app=a b"], 'error: invalid label value: "app=a b"\n'),
            (["pod/web", "=b"], 'error: invalid label key ""\n'),
            (["pod/web"], "error: label KIND/NAME KEY=VALUE... KEY-... [--overwrite]\n"),
            (["frob", "web", "a=b"], 'error: the server doesn\'t have a resource type "frob"\n'),
        ],
    )
    def test_a_refusal_changes_nothing(self, cluster: Cluster, words: list[str], stderr: str) -> None:
        """And says why."""
        finished = cluster.do(["label", *words])
        assert (finished.status, finished.stderr) == (1, stderr)
        assert cluster.store.get(Pod, "web", "default").metadata.labels == {"app": "web"}

    def test_nodes_and_namespaces_have_labels_too(self, cluster: Cluster) -> None:
        """Nobody gives a namespace to what is in none."""
        assert cluster.do("label node/node-1 disk=ssd").stdout == "node/node-1 labeled\n"
        assert cluster.do("label ns default team=a").stdout == "namespace/default labeled\n"


class TestRun:
    """A pod of an image."""

    def test_makes_a_pod_that_runs(self, cluster: Cluster) -> None:
        """With its labels, its port and its arguments."""
        words = "run probe --image=nginx --labels=app=probe,tier=x --port=80 --env=A=b -- sleep 3600"
        assert cluster.do(words).stdout == "pod/probe created\n"
        made = cluster.store.get(Pod, "probe", "default")
        assert (made.is_ready, made.metadata.labels) == (True, {"app": "probe", "tier": "x"})
        assert made.spec.containers[0].ports[0].container_port == 80

    def test_exposes_it(self, cluster: Cluster) -> None:
        """By a Service of the same name that selects the label run."""
        assert (
            cluster.do("run api --image=nginx --port=80 --expose").stdout
            == "service/api created\npod/api created\n"
        )
        assert cluster.store.get(Service, "api", "default").spec.selector == {"run": "api"}

    @pytest.mark.parametrize(
        ("words", "stderr"),
        [
            ("run web --image=nginx", 'Error from server (AlreadyExists): pods "web" already exists\n'),
            ("run api", "error: the following arguments are required: --image\n"),
            ("run api --image=nginx --expose", "error: --port must be set when exposing a service\n"),
            ("run api --image=x --port=99999", "error: --port is a number up to 65535, not 99999\n"),
            ("run api --image=x --env=A", "error: invalid env: A\n"),
            ("run api --image=x --labels=app-", 'error: invalid labels: "app-"\n'),
        ],
    )
    def test_is_refused(self, cluster: Cluster, words: str, stderr: str) -> None:
        """As kubectl refuses it."""
        finished = cluster.do(words)
        assert (finished.status, finished.stderr) == (1, stderr)
