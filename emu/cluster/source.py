# SPDX-License-Identifier: GPL-2.0-only
"""What `-f` names, read once and built as often as it is needed.

A low-level network document stands alone; everything else together is one cluster.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs

from emu.cluster.garbage import garbage_kept
from emu.cluster.network.reader import is_network_document, read_network
from emu.cluster.sources import STDIN, read_all
from emu.errors import DocumentError, Fault
from emu.sim.time import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.network.lab import Network
    from emu.cluster.network.model import NetworkDocument
    from emu.cluster.topology import Topology
    from emu.document import Document
    from emu.errors import Fault as Warned


@attrs.frozen
class NetworkSource:
    """A network document."""

    document: NetworkDocument

    def start(
        self,
        *,
        seed: int | None = None,
        epoch: int = EPOCH,
        steps: bool = True,
        kind: type[Network] | None = None,
    ) -> Network:
        """Return the network, after the document's last step.

        Args:
            kind: the class to make it of.
            seed: decides all that is random; 0 where it is left out.
            epoch: ns since 1970 of the start of the run.
            steps: False leaves the document's actions undone.

        Raises:
            DocumentError: the kernel refuses part of it.
            StormError: frames go round in circles.
        """
        from emu.cluster.network.lab import Network  # noqa: PLC0415 - its programs cost time
        from emu.cluster.network.run import NetworkRun  # noqa: PLC0415

        network = (kind or Network)(NetworkRun(self.document, seed=seed or 0))
        network.epoch = epoch
        if steps:
            network.take_steps()
        return network

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """Nothing is questionable about a network."""
        return ()


@attrs.frozen
class ClusterSource:
    """The documents of a cluster."""

    topology: Topology

    def start(
        self,
        *,
        seed: int | None = None,
        epoch: int = EPOCH,
        steps: bool = True,
        kind: type[Cluster] | None = None,
    ) -> Cluster:
        """Return the cluster, after its last step.

        Args:
            kind: the class to make it of.
            seed: in the place of the document's own.
            epoch: ns since 1970 of the start of the run.
            steps: False leaves the steps of its scenarios undone.

        Raises:
            DocumentError: an API server would refuse objects; all are told.
            StormError: frames go round in circles.
        """
        from emu.cluster.cluster import Cluster  # noqa: PLC0415 - the whole control plane

        cluster = (kind or Cluster)(self.topology, seed=seed, epoch=epoch)
        for _ in cluster.play() if steps else ():
            pass
        return cluster

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What an API server would warn of."""
        return self.topology.warnings


Source: TypeAlias = NetworkSource | ClusterSource


def read_source(names: Sequence[str], *, recursive: bool = False, validate: str = "strict") -> Source:
    """Return what some files, folders and `-` describe together.

    Args:
        names: what `-f` was given.
        recursive: folders within folders, too.
        validate: `strict`, `warn` or `ignore` unknown fields of manifests.

    Raises:
        DocumentError: they cannot be read or have faults; all are told.
    """
    return source_of(read_all(names, recursive=recursive), names[0], validate=validate)


def source_of(documents: Sequence[Document], name: str, *, validate: str = "strict") -> Source:
    """Return what some documents describe together.

    Args:
        documents: as they were read.
        name: the first that was given, for faults; a network's files are beside it.
        validate: `strict`, `warn` or `ignore` unknown fields of manifests.

    Raises:
        DocumentError: they have faults; all are told.
    """
    if len(documents) == 1 and is_network_document(documents[0].value):
        from emu.cluster.network.modelled import CHECKS  # noqa: PLC0415 - the commands cost time

        folder = Path() if name == STDIN else Path(documents[0].file).parent
        return NetworkSource(read_network(documents[0], folder, CHECKS))
    if not documents:
        raise DocumentError([Fault(name, 1, "$", "holds no document")])
    from emu.cluster.topology import load_topology  # noqa: PLC0415 - the schemas cost time
    from emu.kube.api.validation import Mode  # noqa: PLC0415

    with garbage_kept():
        return ClusterSource(load_topology(documents, Mode(validate)))
