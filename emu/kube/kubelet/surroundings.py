# SPDX-License-Identifier: GPL-2.0-only
"""What a container's programs see beside the network: its host name, its files, its environment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.fabric.userland import Contents, Userland
from emu.kube.api.objects import Service
from emu.kube.kubelet import environment, hosts, resolv_conf

if TYPE_CHECKING:
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.api.store import Store
    from emu.kube.kubelet.machine import Machine
    from emu.kube.kubelet.resolv_conf import ClusterDns


class Surroundings:
    """Makes them for the containers of one node."""

    def __init__(self, store: Store, machine: Machine, dns: ClusterDns) -> None:
        self._store = store
        self._machine = machine
        self._dns = dns

    def of(self, pod: Pod, container: Container, address: str) -> Userland:
        """Return the surroundings of a container that starts now."""
        make = partial(self._contents, pod, container, address, self._store.revision)
        return Userland(hosts.hostname(pod), contents=make)

    def _contents(self, pod: Pod, container: Container, address: str, revision: int) -> Contents:
        """Return files and environment, with the Services that there were at `revision`."""
        node = self._machine.userland
        name = hosts.hostname(pod)
        of_node = node.files.get("/etc/resolv.conf", "")
        resolv = resolv_conf.of_pod(pod.spec, pod.metadata.namespace, self._dns, of_node)
        if pod.spec.host_network:
            table = hosts.of_host_network(pod.spec, node.files.get("/etc/hosts", ""))
        else:
            table = hosts.of_pod(pod, address, self._dns.domain)
        files = {"/etc/resolv.conf": str(resolv), "/etc/hosts": table, "/etc/hostname": f"{name}\n"}
        services = [
            each for each in self._store.list(Service) if int(each.metadata.resource_version) <= revision
        ]
        return Contents(files, environment.of_container(pod, container, services, name))
