# SPDX-License-Identifier: GPL-2.0-only
"""What `emu.load` gives: clusters and networks that can also be asked for verdicts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from emu.cluster import cluster, emulation
from emu.cluster.network import lab
from emu.cluster.source import ClusterSource, read_source
from emu.sim.time import EPOCH
from emu.verify import explainer as explaining
from emu.verify.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.recorded import Recorded
    from emu.cluster.source import Source
    from emu.observe.comments import Explainer
    from emu.verify.expect import Finding


class Asked(emulation.Emulation):
    """An emulation that answers whether somebody reaches somebody."""

    def flow(
        self,
        source: str,
        target: str,
        *,
        namespace: str = "default",
        payload: int = 0,
        races: bool = False,
        beside: str = "",
    ) -> Flow:
        """Return the question whether `source` reaches `target`, on every branch of chance.

        It is asked in the state that this emulation is in when the answer is first
        needed, and asking changes nothing.

        Args:
            source: an end point.
            target: an end point, with `:PORT` and `/PROTOCOL`.
            namespace: of names of Kubernetes without one.
            payload: octets to send behind the handshake, or in the datagram, that have to arrive.
            races: packets may overtake each other; every order is followed.
            beside: who asks the same at the same instant, and races, too; nobody for an empty one.
        """
        return Flow(self, source, target, namespace=namespace, payload=payload, races=races, beside=beside)

    def check(self, line: str, *, namespace: str = "default") -> Finding:
        """Return whether a line of `expect` is met: `any pod -> any pod NO-NAT`.

        Args:
            line: as in a `Scenario`.
            namespace: of names of Kubernetes without one.

        Raises:
            ExpectationError: the line is wrong.
            EndPointError: it names somebody as nobody can be.
            UnknownNameError: it names somebody who is not there.
        """
        from emu.verify.expect import Checker, parse_expectation  # noqa: PLC0415 - most ask for flows

        return Checker(self, namespace=namespace).check(parse_expectation(line))

    @contextmanager
    def capture(
        self,
        *patterns: str,
        condition: str = "",
        limit: int | None = None,
        explainer: Explainer | None = None,
    ) -> Iterator[Recorded]:
        """Record what passes while the block runs, each decision with whose doing it was; see `Emulation`."""
        told = explainer or explaining.Explainer(self)
        with super().capture(*patterns, condition=condition, limit=limit, explainer=told) as recorded:
            yield recorded


class Cluster(Asked, cluster.Cluster):
    """A cluster that answers."""


class Network(Asked, lab.Network):
    """A network that answers."""


def load(
    *paths: str, seed: int | None = None, steps: bool = True, validate: str = "strict"
) -> Cluster | Network:
    """Return what some files describe together; see `emu.load`."""
    return start(read_source(paths, validate=validate), seed=seed, steps=steps)


def start(
    source: Source, *, seed: int | None = None, epoch: int = EPOCH, steps: bool = True
) -> Cluster | Network:
    """Return what documents describe, to be asked; see `ClusterSource.start`."""
    if isinstance(source, ClusterSource):
        made = source.start(seed=seed, epoch=epoch, steps=steps, kind=Cluster)
        assert isinstance(made, Cluster)
        return made
    network = source.start(seed=seed, epoch=epoch, steps=steps, kind=Network)
    assert isinstance(network, Network)
    return network
