# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of remedies: what somebody can do, how it is done to an emulation, and how it is written.

Command   a program in a node, a pod or a host
Step      something done with kubectl
Change    an object as it should be
Document  a change of the `Cluster` document
Question  asking otherwise: another name, another port, another node
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from emu.cluster.cluster import Cluster
from emu.cluster.points import DEFAULT_NAMESPACE
from emu.cluster.topology.load import OURS
from emu.errors import CommandError, EndPointError, UnknownNameError
from emu.kube.api import codec
from emu.kube.api.objects import Pod
from emu.verify.fixes.patch import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.cluster.emulation import Emulation
    from emu.cluster.topology import Topology
    from emu.kube.api.objects import Known
    from emu.kube.api.objects.field import Json
    from emu.verify.fixes.patch import Value

_OF_THE_SERVER: Final = (
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "managedFields",
    "ownerReferences",
)
"""Metadata that nobody writes into a manifest."""


class Remedy(Protocol):
    """What somebody can do."""

    def applied(self, network: Emulation) -> Emulation:
        """Do it to `network` and return that, or what takes its place.

        Raises:
            EmuError: it cannot be done.
            OSError: the kernel refuses it.
        """

    def lines(self, width: int) -> list[str]:
        """Return how it is written down, in `width` columns where words are short enough."""


@attrs.frozen
class Command:
    """A program that runs somewhere.

    Attributes:
        host: where: an end point of a cluster, or a namespace of a network document.
        argv: the program and its arguments.
    """

    host: str
    argv: tuple[str, ...]

    def applied(self, network: Emulation) -> Emulation:
        """Run it.

        Raises:
            CommandError: its status was not 0.
            UnknownNameError: there is no such place.
        """
        finished = network.host(self.host).execute(self.argv)
        if finished.status:
            raise CommandError((finished.stderr or finished.stdout).strip(), finished.status)
        return network

    def lines(self, width: int) -> list[str]:
        """Return it, and where it is run: for good in a document's steps, for a moment by `emu exec`."""
        return broken(["in", f"{self.host}:", *self.argv], width)


@attrs.frozen
class Step:
    """Something done with kubectl, in the words of a step of a `Scenario`."""

    words: tuple[str, ...]

    def applied(self, network: Emulation) -> Emulation:
        """Do it, and let things settle.

        Raises:
            CommandError: it was refused.
        """
        finished = _cluster(network).do(self.words)
        if finished.status:
            raise CommandError(finished.stderr.strip(), finished.status)
        return network

    def lines(self, width: int) -> list[str]:
        """Return it as kubectl takes it: the namespace is an option there."""
        verb, name, *rest = self.words
        kind, _, place = name.partition("/")
        namespace, slash, own = place.rpartition("/")
        option = ["-n", namespace] if slash else []
        return broken(["kubectl", verb, *option, f"{kind}/{own}", *rest], width)


@attrs.frozen
class Change:
    """An object as it should be.

    Attributes:
        old: as it is; None if it is to be made.
        new: as it should be.
    """

    old: Known | None
    new: Known

    @property
    def name(self) -> str:
        """Its kind, namespace and name."""
        meta = self.new.metadata
        return f"{self.new.KIND} {meta.namespace}/{meta.name}" if meta.namespace else self.new.KIND

    @property
    def manifest(self) -> dict[str, Json]:
        """The whole of it as it should be."""
        return manifest(self.new)

    def applied(self, network: Emulation) -> Emulation:
        """Write it to the API server, and let things settle; a pod, which cannot change, is made so.

        Raises:
            DocumentError: it is refused.
        """
        cluster = _cluster(network)
        if isinstance(self.new, Pod):
            return cluster.again_as(_with_pod(cluster.topology, self.new))
        cluster.apply(self.new)
        return cluster

    def lines(self, width: int) -> list[str]:
        """Return whose manifest it is, and the lines that change."""
        if self.old is None:
            return [f"{self.name} (new)", *patch(None, manifest(self.new), width)]
        return [self.name, *patch(manifest(self.old), manifest(self.new), width)]


@attrs.frozen
class Document:
    """A change of the `Cluster` document.

    Attributes:
        old: of its `spec`, what changes, as it is.
        new: the same, as it should be.
        change: returns the topology with it.
        is_new: there is no such document yet.
        kind: of the document.
    """

    old: Mapping[str, Value]
    new: Mapping[str, Value]
    change: Callable[[Topology], Topology] = attrs.field(eq=False, repr=False)
    is_new: bool = False
    kind: str = "Cluster"

    def applied(self, network: Emulation) -> Emulation:
        """Return a cluster built so, to which has been done what was done to `network`.

        Raises:
            DocumentError: objects are refused there.
        """
        cluster = _cluster(network)
        return cluster.again_as(self.change(cluster.topology))

    def lines(self, width: int) -> list[str]:
        """Return the lines that change."""
        if self.is_new:
            whole: dict[str, Value] = {"apiVersion": OURS, "kind": self.kind, "spec": self.new}
            return [f"{self.kind} (new)", *patch(None, whole, width)]
        return [self.kind, *patch({"spec": self.old}, {"spec": self.new}, width)]


@attrs.frozen
class Question:
    """Asking otherwise; the network stays as it is.

    Attributes:
        source: who asks.
        target: whom.
        namespace: of names without one.
    """

    source: str
    target: str
    namespace: str = DEFAULT_NAMESPACE

    def applied(self, network: Emulation) -> Emulation:
        """Return `network`."""
        return network

    def lines(self, width: int) -> list[str]:
        """Return what to ask."""
        option = [] if self.namespace == DEFAULT_NAMESPACE else ["-n", self.namespace]
        return broken(["emu", "trace", *option, self.source, self.target], width)


def _with_pod(topology: Topology, pod: Pod) -> Topology:
    """Return the topology with a pod that is to run otherwise.

    Raises:
        UnknownNameError: the pod does not come from there.
    """
    key = pod.metadata.namespace, pod.metadata.name
    objects = [
        attrs.evolve(each, spec=attrs.evolve(pod.spec, node_name=each.spec.node_name))
        if isinstance(each, Pod) and (each.metadata.namespace, each.metadata.name) == key
        else each
        for each in topology.objects
    ]
    if objects == [*topology.objects]:
        raise UnknownNameError(f"pod {key[0]}/{key[1]} is not in the input")
    return attrs.evolve(topology, objects=tuple(objects))


def manifest(obj: Known) -> dict[str, Json]:
    """Return the manifest of `obj` as people write it: without what only the API server knows."""
    written = codec.write(obj)
    written.pop("status", None)
    metadata = written.get("metadata")
    if isinstance(metadata, dict):
        written["metadata"] = {key: each for key, each in metadata.items() if key not in _OF_THE_SERVER}
    return written


def broken(words: Sequence[str], width: int) -> list[str]:
    """Return a command line, broken by backslashes where it is too long for `width` columns."""
    lines: list[str] = []
    line = ""
    for word in map(shlex.quote, words):
        if line and len(line) + 1 + len(word) > width - 2:
            lines.append(f"{line} \\")
            line = f"    {word}"
        else:
            line = f"{line} {word}" if line else word
    if len(lines) == 1 and len(" ".join(map(shlex.quote, words))) <= width:
        return [" ".join(map(shlex.quote, words))]
    return [*lines, line]


def _cluster(network: Emulation) -> Cluster:
    """Return `network`, which has objects.

    Raises:
        EndPointError: it has none.
    """
    if not isinstance(network, Cluster):
        raise EndPointError("a low-level network has no objects of Kubernetes")
    return network
