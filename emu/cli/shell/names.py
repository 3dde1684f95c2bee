# SPDX-License-Identifier: GPL-2.0-only
"""Who can be meant at the prompt, by the names that people type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.cluster import Cluster
from emu.kube.api.objects import Pod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.emulation import Emulation, Host
    from emu.kernel.namespace import Namespace


@attrs.frozen
class Names:
    """The names of an emulation; those of Kubernetes without a namespace are in `namespace`."""

    _emulation: Emulation
    _namespace: str

    def host(self, text: str) -> Host:
        """Return whom `text` means.

        Raises:
            EndPointError: it is no end point.
            UnknownNameError: there is no such, or it does not run.
        """
        return self._emulation.host(text, namespace=self._namespace)

    def hosts(self) -> list[str]:
        """Return all who can be told to run something: pods, nodes and hosts outside, or namespaces."""
        emulation = self._emulation
        if not isinstance(emulation, Cluster):
            return [*emulation.fabric.namespaces]
        machines = [name for name in emulation.fabric.namespaces if name.startswith(("node/", "ext/"))]
        return [*machines, *(self._short(pod) for pod in emulation.store.each(Pod) if pod.is_ready)]

    def points(self) -> list[str]:
        """Return where frames can be looked at: `any`, and each device but loopbacks, `client/eth0`."""
        found = ["any"]
        for name, net in self._emulation.fabric.namespaces.items():
            owner = name.removeprefix(f"{self._namespace}/") if isinstance(self._emulation, Cluster) else name
            found += [f"{owner}/{device}" for device in net.devices if device != "lo"]
        return found

    def peers(self) -> list[str]:
        """Return all who ask each other in `pingall`: pods with a network of their own, or namespaces."""
        emulation = self._emulation
        if not isinstance(emulation, Cluster):
            return [name for name, net in emulation.fabric.namespaces.items() if _address_of(net)]
        pods = [pod for pod in emulation.store.each(Pod) if pod.is_ready and not pod.spec.host_network]
        return sorted(map(self._short, pods))

    def addressed(self, words: Sequence[str]) -> list[str]:
        """Return a command with an address in the place of each argument that names somebody, as in mininet.

        A node needs no `node/` here, as in steps. What is in a URL stays a name,
        and so does what DNS knows and nobody here is called.
        """
        hosts = self.hosts()
        named = {name.removeprefix("node/"): name for name in hosts if name.startswith("node/")}
        named |= {name: name for name in hosts}  # a pod called as a node is comes first
        return [words[0], *(self._addressed(word, named) for word in words[1:])]

    def _addressed(self, word: str, named: Mapping[str, str]) -> str:
        return (word in named and _address_of(self.host(named[word]).net)) or word

    def _short(self, pod: Pod) -> str:
        meta = pod.metadata
        return meta.name if meta.namespace == self._namespace else f"{meta.namespace}/{meta.name}"


def _address_of(net: Namespace) -> str:
    """Return the first address of a namespace that is not its loopback's, empty if it has none."""
    every = (each for name, device in net.devices.items() if name != "lo" for each in device.addresses)
    return next((str(each.address) for each in every), "")
