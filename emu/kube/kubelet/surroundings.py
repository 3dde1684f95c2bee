# SPDX-License-Identifier: GPL-2.0-only
"""What a container's programs see beside the network: its host name, its files, its environment."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from emu.apps.tls.authorities import CLUSTER, SERVICE_ACCOUNT
from emu.fabric.userland import Contents, Userland
from emu.kube.api.objects import Service
from emu.kube.kubelet import environment, hosts, resolv_conf, variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.api.store import Store
    from emu.kube.kubelet.machine import Machine
    from emu.kube.kubelet.resolv_conf import ClusterDns, ResolvConf
    from emu.kube.kubelet.variables import Addresses

_MUSL: Final = re.compile("alpine|curlimages/curl")
"""Images whose programs look names up as musl does."""


class Surroundings:
    """Makes them for the containers of one node."""

    def __init__(self, store: Store, machine: Machine, dns: ClusterDns) -> None:
        self._store = store
        self._machine = machine
        self._dns = dns

    def of(self, pod: Pod, container: Container, addresses: Addresses) -> Userland:
        """Return the surroundings of a container that starts now."""
        make = partial(self._contents, pod, container, addresses, self._store.snapshot(Service))
        libc: Literal["glibc", "musl"] = "musl" if _MUSL.search(container.image) else "glibc"
        return Userland(
            hosts.hostname(pod, self._dns.domain), libc=libc, epoch=self._store.epoch, contents=make
        )

    def _contents(
        self, pod: Pod, container: Container, addresses: Addresses, services: Sequence[Service]
    ) -> Contents:
        """Return files and environment, with the Services that there were when the container started."""
        node = self._machine.userland
        name = hosts.hostname(pod, self._dns.domain)
        if pod.spec.host_network:
            table = hosts.of_host_network(pod.spec, node.files.get("/etc/hosts", ""))
        else:
            table = hosts.of_pod(pod, addresses.pod, self._dns.domain)
        resolv, _ = self.resolv_conf(pod)
        files = {"/etc/resolv.conf": str(resolv), "/etc/hosts": table, "/etc/hostname": f"{name}\n"}
        if pod.spec.rest.get("automountServiceAccountToken") is not False:
            files[SERVICE_ACCOUNT] = CLUSTER
        found = environment.of_pod(pod, services, name)
        own = variables.of_container(self._store, pod, container, addresses, found)
        return Contents(files, found | own)

    def resolv_conf(self, pod: Pod) -> tuple[ResolvConf, str]:
        """Return the resolv.conf of a pod, and the kubelet's words for what was cut off it."""
        node = self._machine.userland.files.get("/etc/resolv.conf", "")
        return resolv_conf.of_pod(pod.spec, pod.metadata.namespace, self._dns, node)
