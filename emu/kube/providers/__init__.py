# SPDX-License-Identifier: GPL-2.0-only
"""Network providers: what each gives a node to configure pods with, and what its daemon writes.

    provider = PROVIDERS["flannel"]({"backend": "vxlan"})
    written = provider.configure(node, nodes)       # a pure function of what the nodes are like
    apply(fabric, net, before, written, disk=disk)  # the kernel agrees; twice is the same as once

`before` is what the last `configure` returned, `Written()` at first: what stood
there and no longer does is taken away.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emu.kube.providers.apply import apply, look_after
from emu.kube.providers.calico import Calico
from emu.kube.providers.flannel import Flannel
from emu.kube.providers.kindnet import Kindnet
from emu.kube.providers.kubenet import Kubenet
from emu.kube.providers.none import NoProvider
from emu.kube.providers.provider import NodeInterface, NodeNetwork, OptionsError, Provider
from emu.kube.providers.vpc import Vpc
from emu.kube.providers.weave import Weave
from emu.kube.providers.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.cni.fields import Json

__all__ = [
    "PROVIDERS",
    "Calico",
    "NodeInterface",
    "NodeNetwork",
    "OptionsError",
    "Provider",
    "Written",
    "apply",
    "look_after",
]

PROVIDERS: Final[Mapping[str, Callable[[Mapping[str, Json]], Provider]]] = MappingProxyType(
    {
        "kubenet": Kubenet.of,
        "kindnet": Kindnet.of,
        "flannel": Flannel.of,
        "calico": Calico.of,
        "weave": Weave.of,
        "vpc": Vpc.of,
        "none": NoProvider.of,
    }
)
"""By the name in a Cluster document; each takes its options, and raises an `OptionsError` with all faults."""
