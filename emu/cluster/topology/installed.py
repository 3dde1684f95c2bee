# SPDX-License-Identifier: GPL-2.0-only
"""Networks that manifests of a real cluster bring as a DaemonSet, whereas another one is emulated.

emu runs none of their programs: `network.provider` of a `Cluster` document says what nodes do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import Fault
from emu.kube.api.objects import DaemonSet
from emu.kube.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.cluster.topology.spec import Source
    from emu.kube.api.objects import Object

_AGENTS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "calico": (("calico-node", "canal"), ("calico/node",)),
    "flannel": (
        ("kube-flannel-ds", "kube-flannel", "canal"),
        ("flannel/flannel", "flannel-io/flannel", "coreos/flannel"),
    ),
    "weave": (("weave-net",), ("weaveworks/weave-kube",)),
    "vpc": (("aws-node",), ("amazon-k8s-cni",)),
    "kindnet": (("kindnet",), ("kindnetd",)),
    "cilium": (("cilium",), ("cilium/cilium",)),
    "antrea": (("antrea-agent",), ("antrea/antrea-agent", "antrea/antrea-ubuntu")),
    "ovn-kubernetes": (("ovnkube-node",), ()),
}
"""The DaemonSets of each network: their names, and what their images' names have at the end."""


def warnings_of(objects: Iterable[Object], sources: Iterable[Source], provider: str) -> list[Fault]:
    """Return a warning of the first network that is installed, if none of them is the emulated one.

    Args:
        objects: the input.
        sources: where each of them stands.
        provider: what is emulated.
    """
    found = [
        (each, source, networks)
        for each, source in zip(objects, sources, strict=True)
        if isinstance(each, DaemonSet) and (networks := _networks(each))
    ]
    if not found or any(provider in networks for _, _, networks in found):
        return []
    daemons, source, (network, *_) = found[0]
    meta = daemons.metadata
    looks = f"DaemonSet {meta.namespace}/{meta.name} looks like {network}"
    if network in PROVIDERS:
        words = f"{looks}; emulated is {provider}: say network.provider in a Cluster document"
    else:
        words = f"{looks}, which is not modelled; emulated is {provider}"
    return [Fault(source.file, source.line, source.path, words)]


def _networks(daemons: DaemonSet) -> list[str]:
    """Return the networks that a DaemonSet may be of."""
    images = [_repository(each.image) for each in daemons.spec.template.spec.containers]
    return [
        network
        for network, (names, repositories) in _AGENTS.items()
        if daemons.metadata.name in names
        or any(f"/{image}".endswith(f"/{each}") for image in images for each in repositories)
    ]


def _repository(image: str) -> str:
    """Return an image's name without digest and tag; the colon of a registry's port comes before a slash."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
