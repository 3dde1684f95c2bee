# SPDX-License-Identifier: GPL-2.0-only
"""The clusters of `topologies/` do what their comments say."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

import emu
from emu.cli import cli
from emu.cluster.cluster import Cluster
from emu.kube.api.objects import Pod

if TYPE_CHECKING:
    from click.testing import Result

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "topologies"
FILES: Final = sorted(
    path for path in FOLDER.rglob("*.yaml") if not re.search("^namespaces:", path.read_text(), re.MULTILINE)
)
_COMMAND: Final = re.compile(r"^# +emu (?P<words>.+?)(?: +#.*)?$", re.MULTILINE)
COMMANDS: Final = [
    pytest.param(found["words"], id=f"{path.relative_to(FOLDER)}: {found['words'][:60]}")
    for path in FILES
    for found in _COMMAND.finditer(path.read_text())
]
UNREADY: Final = {"multi-container-pod.yaml": ["quarrel"], "headless.yaml": ["db-0"]}
_MINIKUBE: Final = FOLDER / "minikube.yaml"


def call(words: str) -> Result:
    """Run the command line as people type it."""
    return CliRunner().invoke(cli, shlex.split(words))


@pytest.mark.parametrize("words", COMMANDS)
def test_what_the_comments_say_can_be_typed(
    words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each command of a topology ends well."""
    (tmp_path / "topologies").symlink_to(FOLDER)
    monkeypatch.chdir(tmp_path)
    result = call(words)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_all_pods_run(path: Path) -> None:
    """Each file is a cluster at rest, but for pods that are made not to be, and what a dead node keeps."""
    cluster = emu.load(path)
    assert isinstance(cluster, Cluster)
    dead = {name for name, machine in cluster.machines.items() if not machine.is_up}
    pods = [pod for pod in cluster.store.list(Pod) if pod.spec.node_name not in dead]
    waiting = [pod.metadata.name for pod in pods if not pod.is_ready]
    assert waiting == UNREADY.get(path.name, [])


class TestMinikube:
    """The demonstration with three nodes."""

    def test_nodes_are_as_the_demonstration_shows_them(self) -> None:
        """Ages, roles, versions and addresses, column by column."""
        lines = call(f"get nodes -o wide -f {_MINIKUBE}").output.splitlines()
        system = ["<none>", "Ubuntu", "20.04.5", "LTS", "4.15.0-193-generic", "docker://20.10.18"]
        assert [line.split() for line in lines[1:]] == [
            ["munode", "Ready", "control-plane", "9m55s", "v1.25.2", "192.168.103.2", *system],
            ["munode-m02", "Ready", "<none>", "9m12s", "v1.25.2", "192.168.103.3", *system],
            ["munode-m03", "Ready", "<none>", "8m48s", "v1.25.2", "192.168.103.4", *system],
        ]

    def test_pods_lie_one_on_each_node(self) -> None:
        """With the addresses of the demonstration, fourteen seconds old."""
        lines = call(f"get pods -o wide -f {_MINIKUBE}").output.splitlines()
        rows = [line.split() for line in lines[1:]]
        assert [row[1:7] for row in rows] == [
            ["1/1", "Running", "0", "14s", "10.244.0.3", "munode"],
            ["1/1", "Running", "0", "14s", "10.244.2.2", "munode-m03"],
            ["1/1", "Running", "0", "14s", "10.244.1.2", "munode-m02"],
        ]

    @pytest.mark.tshark
    def test_the_conversation_shows_the_service_at_the_client_and_the_pod_at_the_server(
        self, tmp_path: Path
    ) -> None:
        """By name, in what tshark reads of the capture of a curl."""
        file = tmp_path / "lab.pcapng"
        words = f"capture -f {_MINIKUBE} -w {file} -- exec demo/client -- curl -s http://nginx.default"
        assert call(words).exit_code == 0
        fields = ["frame.interface_name", "ip.src_host", "ip.dst_host"]
        command = ["tshark", "-N", "n", "-r", str(file), "-Y", "tcp.flags.syn == 1 && tcp.flags.ack == 0"]
        command += ["-T", "fields", *(word for field in fields for word in ("-e", field))]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [line.split("\t") for line in output.splitlines()]
        assert rows[0] == ["eth0@demo/client", "client.demo.pod", "nginx.default.svc"]
        server = rows[-1]
        assert re.fullmatch(r"eth0@default/nginx-\w+-\w+", server[0])
        assert server[1] == "client.demo.pod"
        assert re.fullmatch(r"nginx-\w+-\w+\.default\.pod", server[2])
