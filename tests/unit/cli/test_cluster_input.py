# SPDX-License-Identifier: GPL-2.0-only
"""The verbs on a cluster: what `-f` takes, what is refused, and whom `exec` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: a, image: nginx}, {name: b, image: busybox, env: [{name: IN, value: b}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [{name: a, image: nginx}]}
"""
CLUSTER = "{apiVersion: emu/v1, kind: Cluster, spec: {kubeProxy: {mode: none}, nodes: [{name: n1}]}}\n"
FAULTY = """\
apiVersion: emu/v1
kind: Cluster
spec:
  nods: []
  seed: x
  podCIDR: 10.244.0.0/40
---
apiVersion: v1
kind: Pod
metadata:
  name: Web
spec:
  containers:
  - name: c
    image: nginx
    ports:
    - {containerPort: 808080}
    - {containerPort: eighty}
  restartPolice: Never
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: Nodeport
  ports: [{port: 0}]
  selector: {a: [1]}
"""


def emu(*words: object, stdin: str = "") -> Result:
    """Run a verb."""
    return CliRunner().invoke(cli, [str(word) for word in words], input=stdin)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a cluster, and pods in a folder within it."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pods.yml").write_text(PODS)
    (tmp_path / "readme.txt").write_text("no YAML: [")
    return tmp_path


class TestFiles:
    """`-f` is a file, a folder or standard input, and may be repeated."""

    def test_a_folder_is_taken_without_those_in_it(self, folder: Path) -> None:
        """`-R` takes them, too; files of other kinds are passed over."""
        assert "No resources found" in emu("get", "pods", "-f", folder).stderr
        assert emu("get", "pods", "-R", "-f", folder, "--no-headers").stdout.split()[0] == "web"

    def test_standard_input_and_files_are_one_input(self, folder: Path) -> None:
        """`-` stands for it."""
        result = emu("get", "pods", "-A", "-o", "name", "-f", folder, "-f", "-", stdin=PODS)
        assert (result.exit_code, result.stdout.count("pod/web")) == (0, 2)

    @pytest.mark.parametrize(("name", "words"), [("none.yaml", "No such file"), ("empty", "holds no .yaml")])
    def test_what_cannot_be_read_is_status_2(self, folder: Path, name: str, words: str) -> None:
        """With its name."""
        (folder / "empty").mkdir()
        result = emu("get", "pods", "-f", folder / name)
        assert result.exit_code == 2
        assert words in result.stderr


def test_all_faults_are_told_with_file_line_and_path(tmp_path: Path) -> None:
    """Ten faults, ten lines, in the order of the file; status 2 and nothing on standard output."""
    path = tmp_path / "bad.yaml"
    path.write_text(FAULTY)
    result = emu("get", "pods", "-f", path)
    assert (result.exit_code, result.stdout) == (2, "")
    told = [line.removeprefix(f"{path}:").split(" ")[:2] for line in result.stderr.splitlines()]
    assert told == [
        ["4:", "$.spec.nods:"],
        ["5:", "$.spec.seed:"],
        ["6:", "$.spec.podCIDR:"],
        ["11:", "$.metadata.name:"],
        ["17:", "$.spec.containers[0].ports[0].containerPort:"],
        ["18:", "$.spec.containers[0].ports[1].containerPort:"],
        ["19:", "$.spec.restartPolice:"],
        ["25:", "$.spec.type:"],
        ["26:", "$.spec.ports[0].port:"],
        ["27:", "$.spec.selector.a:"],
    ]


class TestExec:
    """TARGET is a pod, a node or a host outside."""

    @pytest.mark.parametrize(
        ("words", "stdout"),
        [
            (["web", "--", "hostname"], "web\n"),
            (["pod/web", "--", "hostname"], "web\n"),
            (["shop/web", "--", "printenv", "HOSTNAME"], "web\n"),
            (["-n", "shop", "web", "--", "printenv", "HOSTNAME"], "web\n"),
            (["-c", "b", "web", "--", "printenv", "IN"], "b\n"),
            (["web", "-c", "b", "--", "printenv", "IN"], "b\n"),
            (["node/n1", "--", "hostname"], "n1\n"),
            (["ext/laptop", "--", "hostname", "-I"], "198.51.100.7 \n"),
        ],
    )
    def test_is_found(self, folder: Path, words: list[str], stdout: str) -> None:
        """By its name, with `-n` and `-c` where they are needed."""
        result = emu("exec", "-R", "-f", folder, *words)
        assert (result.exit_code, result.stdout) == (0, stdout)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["nobody", "--", "true"], "no pod nobody in namespace default (there are web)"),
            (["svc/web", "--", "true"], "nothing runs in a Service"),
            (["-c", "x", "web", "--", "true"], "has no container x (there are a, b)"),
            (["node/n9", "--", "true"], "no node n9 (there are n1)"),
        ],
    )
    def test_who_is_not_there_is_status_2(self, folder: Path, words: list[str], said: str) -> None:
        """And those who are there are named."""
        result = emu("exec", "-R", "-f", folder, *words)
        assert result.exit_code == 2
        assert said in result.stderr


def test_rules_are_those_of_the_node(tmp_path: Path) -> None:
    """As iptables-save prints them, or as kube-proxy writes them."""
    path = tmp_path / "c.yaml"
    path.write_text(CLUSTER.replace("kubeProxy: {mode: none}, ", ""))
    assert "-A PREROUTING -m comment" in emu("rules", "n1", "-f", path).stdout
    written = emu("rules", "node/n1", "--as", "iptables-restore", "-f", path).stdout
    assert written.startswith("*")
    assert ":KUBE-SERVICES - [0:0]" in written
    assert emu("rules", "n9", "-f", path).exit_code == 2
