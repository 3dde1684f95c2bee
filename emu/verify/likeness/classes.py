# SPDX-License-Identifier: GPL-2.0-only
"""Asks what pods have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.verify.likeness.likeness import Likeness, port_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.emulation import Emulation
    from emu.verify.likeness.likeness import Place


def classes(network: Emulation, pods: Sequence[Place], protocol: str, ports: Sequence[int]) -> Likeness:
    """Return which questions between `pods` must end alike.

    Args:
        network: it is only looked at.
        pods: network namespaces, as `NS/POD`; of a pod on its node's network, `node/NAME`.
        protocol: `tcp`, `udp`, `sctp` or `icmp`.
        ports: those that are asked; none for ICMP.

    Raises:
        UnknownNameError: there is no such namespace.
    """
    del protocol
    for pod in pods:
        network.fabric.namespace(pod)
    return Likeness(port_classes(ports, ports), of={pod: pod for pod in pods})
