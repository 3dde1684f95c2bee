# SPDX-License-Identifier: GPL-2.0-only
"""Sandboxes: a network namespace that the pause process holds, attached by CNI plugins.

Source: internal/cri/server/sandbox_run.go of containerd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import EmuError, SysctlError
from emu.kube import cni
from emu.kube.kubelet.pod import namespace_name
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects import Pod
    from emu.kube.cni.fields import Json
    from emu.kube.kubelet.machine import Machine
    from emu.kube.kubelet.pod import PodRun

IFNAME: Final = "eth0"


class SandboxError(EmuError):
    """A sandbox could not be made; `str()` of it is what the runtime says."""


def make(fabric: Fabric, machine: Machine, pod: Pod, run: PodRun) -> None:
    """Make the namespace of a pod and attach it to the node's network.

    Raises:
        SandboxError: there is no network yet, or a plugin failed; nothing is left of it.
    """
    run.attempt += 1
    if machine.network is None:
        raise SandboxError("network plugin not ready: cni plugin not initialized")
    net = fabric.add_namespace(namespace_name(pod))
    call = _call(fabric, machine, pod, run, net)
    try:
        cni.add(cni.LOOPBACK, _loopback(call))
        result = cni.add(machine.network, call)
    except cni.CniError as error:
        cni.delete(machine.network, call)
        fabric.remove_namespace(net.name)
        plugin = machine.network.plugins[0].type
        raise SandboxError(
            f'failed to setup network for sandbox "{run.sandbox_id}": '
            f'plugin type="{plugin}" failed (add): {error}'
        ) from None
    machine.keep_sysctls()
    for name, value in _sysctls(pod):
        try:
            net.sysctl.set(name, value)
        except SysctlError as error:
            cni.delete(machine.network, call)
            fabric.remove_namespace(net.name)
            raise SandboxError(f'failed to set sysctl "{name}" to "{value}": {error}') from None
    run.net, run.network = net, machine.network
    run.address = _address(result)


def remove(fabric: Fabric, machine: Machine, pod: Pod, run: PodRun) -> None:
    """Detach a pod and remove its namespace; one on the host's network only lets go of it."""
    net, network = run.net, run.network
    run.net = run.address = run.network = None
    if net is None or network is None:
        return
    call = _call(fabric, machine, pod, run, net)
    cni.delete(network, call)
    fabric.remove_namespace(net.name)


def _call(fabric: Fabric, machine: Machine, pod: Pod, run: PodRun, net: Namespace) -> cni.Call:
    meta = pod.metadata
    args = {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": meta.namespace,
        "K8S_POD_NAME": meta.name,
        "K8S_POD_INFRA_CONTAINER_ID": run.sandbox_id,
        "K8S_POD_UID": meta.uid,
    }
    if pod.status.pod_ip and run.attempt == 1:  # an address that the input brought is kept
        args["IP"] = pod.status.pod_ip
    ports = _port_mappings(pod)
    return cni.Call(
        fabric,
        machine.net,
        net,
        run.sandbox_id,
        disk=machine.disk,
        ifname=IFNAME,
        args=args,
        capabilities={"portMappings": ports} if ports else {},
    )


def _sysctls(pod: Pod) -> list[tuple[str, str]]:
    """Return the settings that the pod's security context asks for its namespace."""
    context = pod.spec.rest.get("securityContext")
    found = context.get("sysctls") if isinstance(context, dict) else None
    pairs = (each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
    return [(str(each.get("name")), str(each.get("value"))) for each in pairs]


def _loopback(call: cni.Call) -> cni.Call:
    return cni.Call(call.fabric, call.host, call.sandbox, call.container_id, disk=call.disk, ifname="lo")


def _port_mappings(pod: Pod) -> list[Json]:
    """Return the ports of the node that lead to the pod."""
    return [
        {
            "hostPort": port.host_port,
            "containerPort": port.container_port,
            "protocol": port.protocol.lower(),
            "hostIP": port.host_ip,
        }
        for container in pod.spec.containers
        for port in container.ports
        if port.host_port
    ]


def _address(result: cni.Result) -> IpAddress:
    """Return the pod's address: the first of IPv4."""
    found = [each.address for each in result.ips]
    addresses = [each.address if isinstance(each, Interface) else IpAddress.parse(each) for each in found]
    return next((each for each in addresses if each.family == 4), addresses[0])
