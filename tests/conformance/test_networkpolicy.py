# SPDX-License-Identifier: GPL-2.0-only
"""Tables of who reaches whom that Kubernetes' own NetworkPolicy tests expect, asked with real packets.

The cluster of a case is built from its manifests and the policies are applied step
by step; then every pair of pods is asked, to the pod's address and through the
pod's Service. Cases of IPv6 are expected to fail, by what the file says.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs
import pytest
import yaml

from emu.cluster.cluster import Cluster
from emu.cluster.source import read_source
from emu.errors import DocumentError
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.verify.asker import Asker
from emu.verify.verdict import Word
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
Document = dict[str, Any]
"""A case is data of many shapes; it goes no further than this file."""

_PLACEHOLDER: Final = re.compile(r"\$\{(POD_IP|POD_NET4):([^}]+)\}")
_LETTERS: Final = {Word.ALWAYS: ".", Word.NEVER: "X", Word.SOMETIMES: "?", Word.UNKNOWN: "u"}
_NETWORKS: Final = {
    "kindnet": {"provider": "kindnet"},
    "flannel with the agent": {"provider": "flannel", "policy": "iptables"},
    "calico": {"provider": "calico"},
}


_FULL: Final = "kindnet"
"""The network on which all pods are asked."""


class Case(NamedTuple):
    """One check of a case: after which step, its number there, which way, on which network."""

    path: Path
    step: int
    check: int
    via: str
    network: str


# --- cases ---


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each check of each case, and of each fact about validation."""
    chosen = metafunc.config.getoption("--conformance-dir")
    folder = (HERE if chosen is None else chosen) / "networkpolicy"
    if "case" in metafunc.fixturenames:
        paths = sorted((folder / "cases").glob("*.yaml"))
        cases = sorted((case for path in paths for case in _cases(path)), key=_cluster_of)
        metafunc.parametrize("case", [_param(case) for case in cases])
    elif "fact" in metafunc.fixturenames:
        facts = sorted((folder / "validation").glob("*.yaml"))
        marked = [pytest.param(each, id=each.stem, marks=pytest.mark.judge("conformance")) for each in facts]
        metafunc.parametrize("fact", marked)


@cache
def load(path: Path) -> Document:
    """Return what a file says."""
    found: Document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _cases(path: Path) -> Iterator[Case]:
    for step, each in enumerate(load(path)["steps"]):
        for check in range(len(each["checks"])):
            for via in ("direct", "service"):
                for network in _NETWORKS:
                    yield Case(path, step, check, via, network)


def _cluster_of(case: Case) -> tuple[str, str, str, int]:
    """Return what tests are sorted by, for each cluster to be built once."""
    return case.network, load(case.path)["base"], case.path.stem, case.step


def _param(case: Case) -> object:
    label = "-".join(
        (case.path.stem, str(case.step), str(case.check), case.via, case.network.split(maxsplit=1)[0])
    )
    marks = [pytest.mark.judge("conformance")]
    if _is_of_ipv6(load(case.path)):
        marks.append(pytest.mark.xfail(reason="IPv6 is not modelled", strict=True))
    return pytest.param(case, id=label, marks=marks)


def _is_of_ipv6(document: Document) -> bool:
    """Return whether a case needs IPv6."""
    return document.get("ipFamily", "IPv4") != "IPv4" or any(_blocks_of_ipv6(document))


def _blocks_of_ipv6(document: Document) -> Iterator[bool]:
    """Yield for each block of addresses in a case whether it is of IPv6."""
    waiting: list[object] = [document["steps"]]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            block = found.get("ipBlock")
            if isinstance(block, dict):
                yield ":" in _PLACEHOLDER.sub("", str(block.get("cidr", "")))
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


# --- the cluster ---


@attrs.define
class Lab:
    """A cluster of a base's manifests, in which one case after the other is played.

    Attributes:
        cluster: it.
        asker: asks it; a new one after each change.
    """

    cluster: Cluster
    labels: dict[str, dict[tuple[str, str], dict[str, str]]]
    asker: Asker
    place: tuple[Path, int] | None = None

    @classmethod
    def of(cls, base: Path, network: str, folder: Path) -> Lab:
        """Build the cluster of a base on a network; its document goes to `folder`."""
        spec = {"network": _NETWORKS[network]}
        document = folder / f"{base.stem}-{network.split(maxsplit=1)[0]}.yaml"
        document.write_text(yaml.safe_dump({"apiVersion": "emu/v1", "kind": "Cluster", "spec": spec}))
        cluster = read_source([str(document), str(base)]).start()
        assert isinstance(cluster, Cluster)
        labels = {
            kind.KIND: {
                (each.metadata.namespace, each.metadata.name): dict(each.metadata.labels)
                for each in cluster.store.each(kind)
            }
            for kind in (Namespace, Pod)
        }
        return cls(cluster, labels, Asker(cluster, is_brief=True))

    def bring_to(self, path: Path, step: int) -> None:
        """Have the state behind a step of a case, from the base on."""
        if self.place == (path, step):
            return
        self._clear()
        for each in load(path)["steps"][: step + 1]:
            for action in each["actions"]:
                ((verb, what),) = action.items()
                _ACTIONS[verb](self, what)
        self.asker = Asker(self.cluster, is_brief=True)
        self.place = path, step

    def _clear(self) -> None:
        """Take all policies away, and give objects the labels back that they had."""
        for policy in self.cluster.store.list(NetworkPolicy):
            self.delete(_named(policy.KIND, policy.metadata.name, policy.metadata.namespace))
        for kind, known in self.labels.items():
            for (namespace, name), labels in known.items():
                self._relabel(_named(kind, name, namespace), labels)

    def apply(self, manifest: Document) -> None:
        """Apply a manifest, with the addresses of pods in the place of their names."""
        found = yaml.safe_load(_PLACEHOLDER.sub(self._address, yaml.safe_dump(manifest, width=1000)))
        self.cluster.apply(found)

    def find(self, what: Document) -> NetworkPolicy | Namespace | Pod:
        """Return the object that kind, namespace and name mean."""
        store, name, namespace = self.cluster.store, what["name"], what.get("namespace", "")
        match what["kind"]:
            case "Namespace":
                return store.get(Namespace, name)
            case "Pod":
                return store.get(Pod, name, namespace)
            case _:
                return store.get(NetworkPolicy, name, namespace)

    def delete(self, what: Document) -> None:
        """Delete an object."""
        self.cluster.writer.delete(self.find(what))
        self.cluster.settle_down()

    def label(self, what: Document) -> None:
        """Give an object labels beside those that it has."""
        found = self.find(what)
        self._relabel(what, {**found.metadata.labels, **what["set"]})

    def _relabel(self, what: Document, labels: dict[str, str]) -> None:
        found = self.find(what)
        if dict(found.metadata.labels) != labels:
            metadata = attrs.evolve(found.metadata, labels=labels)
            self.cluster.store.put(attrs.evolve(found, metadata=metadata))
            self.cluster.settle_down()

    def _address(self, found: re.Match[str]) -> str:
        namespace, name = found[2].split("/")
        address = self.cluster.store.get(Pod, name, namespace).status.pod_ip
        return address if found[1] == "POD_IP" else str(Prefix.parse(f"{address}/4", strict=False))

    def row(self, source: str, targets: list[str], check: Document, via: str) -> str:
        """Return a row of the table: whom of `targets` a pod reaches, a letter for each."""
        port = f"{check['port']}/{check['protocol'].lower()}"
        letters = []
        for target in targets:
            if target == source:
                letters.append("#")
                continue
            namespace, name = target.split("/")
            point = f"svc/{namespace}/s-{namespace}-{name}" if via == "service" else f"pod/{target}"
            letters.append(_LETTERS[self.asker.judge(f"pod/{source}", f"{point}:{port}").word])
        return "".join(letters)


def _named(kind: str, name: str, namespace: str) -> Document:
    return {"kind": kind, "name": name, "namespace": namespace}


_ACTIONS: Final = {"apply": Lab.apply, "delete": Lab.delete, "label": Lab.label}


class Labs:
    """The cluster that was used last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: tuple[tuple[Path, str], Lab] | None = None

    def of(self, base: Path, network: str) -> Lab:
        """Return the cluster of a base on a network."""
        if self._last is None or self._last[0] != (base, network):
            self._last = (base, network), Lab.of(base, network, self._folder)
        return self._last[1]


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Labs:
    """Return where clusters come from."""
    return Labs(tmp_path_factory.mktemp("clusters"))


# --- tests ---


def test_pods_reach_each_other_as_the_case_says(case: Case, labs: Labs) -> None:
    """Every pair of pods is allowed or cut off as in the table, whichever way the target is called.

    On a second network those pods are asked that are enough to show the point.
    """
    document = load(case.path)
    check = document["steps"][case.step]["checks"][case.check]
    lab = labs.of(case.path.parent.parent / document["base"], case.network)
    lab.bring_to(case.path, case.step)
    pods = document["pods" if case.network == _FULL else "minimal_pods"]
    found = {source: lab.row(source, pods, check, case.via) for source in pods}
    expected = {source: _columns(document, check["matrix"][source], pods) for source in pods}
    assert found == expected


def _columns(document: Document, row: str, pods: list[str]) -> str:
    """Return the letters of a row that are about some pods."""
    return "".join(row[document["pods"].index(each)] for each in pods)


def test_what_the_api_server_refuses_is_refused(fact: Path, tmp_path: Path) -> None:
    """A policy is taken or refused as an API server does it."""
    document = load(fact)
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(document["manifest"]))
    if document["expect"] == "accepted":
        assert read_source([str(path)]) is not None
    else:
        with pytest.raises(DocumentError):
            read_source([str(path)])
