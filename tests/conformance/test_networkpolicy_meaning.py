# SPDX-License-Identifier: GPL-2.0-only
"""The tables of NetworkPolicy's own tests, looked up in what policies mean: the oracle is judged, too.

The pods get addresses here, for nothing runs: packets are asked elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import yaml

from emu.kube.api import codec
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.kube.api.objects.pod import PodStatus
from emu.kube.policy.meaning import Connection, Snapshot, meaning
from emu.wire.addresses import IpAddress

HERE: Final = Path(__file__).parent
Document = dict[str, Any]
"""A case is data of many shapes; it goes no further than this file."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each case."""
    chosen = metafunc.config.getoption("--conformance-dir")
    folder = (HERE if chosen is None else chosen) / "networkpolicy"
    metafunc.parametrize("path", sorted(folder.glob("cases/*.yaml")), ids=lambda path: path.stem)


@attrs.define
class Paper:
    """A cluster on paper: objects by kind, namespace and name."""

    objects: dict[tuple[str, str, str], Namespace | NetworkPolicy | Pod] = attrs.field(factory=dict)

    def apply(self, manifest: Document) -> None:
        """Take an object; a pod gets the next address and a node."""
        if manifest["kind"] not in {"Namespace", "NetworkPolicy", "Pod"}:
            return
        read = codec.read(manifest)
        assert isinstance(read, Namespace | NetworkPolicy | Pod)
        if isinstance(read, Pod):
            number = len(self.objects)
            status = PodStatus("Running", pod_ip=f"10.244.{number % 3}.{number + 2}")
            read = attrs.evolve(read, status=status)
        self.objects[read.KIND, read.metadata.namespace, read.metadata.name] = read

    def label(self, change: Document) -> None:
        """Set labels of an object."""
        key = change["kind"], change.get("namespace", ""), change["name"]
        old = self.objects[key]
        labels = {**old.metadata.labels, **change["set"]}
        self.objects[key] = attrs.evolve(old, metadata=attrs.evolve(old.metadata, labels=labels))

    def pod(self, name: str) -> Pod:
        """Return the pod `NS/NAME`."""
        found = self.objects["Pod", *name.split("/", 1)]  # type: ignore[index]  # two parts
        assert isinstance(found, Pod)
        return found

    @property
    def snapshot(self) -> Snapshot:
        """All that there is."""
        every = self.objects.values()
        return Snapshot(
            tuple(each for each in every if isinstance(each, NetworkPolicy)),
            tuple(each for each in every if isinstance(each, Pod)),
            tuple(each for each in every if isinstance(each, Namespace)),
        )


def with_addresses(paper: Paper, text: str) -> Any:  # noqa: ANN401 - a document
    """Return a document in which the addresses of pods are filled in."""

    def address(found: re.Match[str]) -> str:
        own = paper.pod(found["pod"]).status.pod_ip
        return own if found["what"] == "POD_IP" else f"{int(own.split('.')[0]) & 0xF0}.0.0.0/4"

    return yaml.safe_load(re.sub(r"\$\{(?P<what>POD_IP|POD_NET4):(?P<pod>[^}]+)\}", address, text))


@pytest.mark.judge("networkpolicy meaning")
def test_policies_mean_what_the_table_says(path: Path) -> None:
    """Each pair of pods, on each protocol and port that is asked, step by step."""
    paper = Paper()
    text = path.read_text(encoding="utf-8")
    base = path.parent.parent / yaml.safe_load(text)["base"]
    for manifest in yaml.safe_load_all(base.read_text(encoding="utf-8")):
        paper.apply(manifest)
    case = with_addresses(paper, text)
    for step in case["steps"]:
        for action in step["actions"]:
            for verb, what in action.items():
                {"apply": paper.apply, "label": paper.label}[verb](what)
        for check in step["checks"]:
            assert table(paper, case["pods"], check) == check["matrix"], step["name"]


def table(paper: Paper, pods: list[str], check: Document) -> dict[str, str]:
    """Return who may ask whom, as the cases write it."""
    snapshot = paper.snapshot
    return {
        source: "".join(
            "#" if source == target else ".X"[not _passes(snapshot, paper, source, target, check)]
            for target in pods
        )
        for source in pods
    }


def _passes(snapshot: Snapshot, paper: Paper, source: str, target: str, check: Document) -> bool:
    one, other = paper.pod(source), paper.pod(target)
    return meaning(
        snapshot,
        Connection(
            one,
            IpAddress.parse(one.status.pod_ip),
            other,
            IpAddress.parse(other.status.pod_ip),
            check["protocol"],
            check["port"],
        ),
    ).allows
