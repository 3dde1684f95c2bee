# SPDX-License-Identifier: GPL-2.0-only
"""The variables by which a container finds Services. Source: pkg/kubelet/envvars/envvars.go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects import Pod, Service


def of_pod(pod: Pod, services: Iterable[Service], hostname: str) -> dict[str, str]:
    """Return what every container of a pod has in its environment.

    Args:
        pod: whose containers they are.
        services: all that there are; those of the pod's namespace count, and
            `kubernetes` of default.
        hostname: the pod's.
    """
    found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": hostname}
    for service in services:
        own = service.metadata.namespace == pod.metadata.namespace and pod.spec.enable_service_links
        is_api = (service.metadata.namespace, service.metadata.name) == ("default", "kubernetes")
        if own or is_api:
            found |= of_service(service)
    return found


def of_service(service: Service) -> dict[str, str]:
    """Return the variables of one Service; none for a headless one."""
    address, ports = service.spec.cluster_ip, service.spec.ports
    if not address or service.is_headless or not ports:
        return {}
    name = service.metadata.name.upper().replace("-", "_")
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0].port)}
    for port in ports:
        if port.name:
            found[f"{name}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    found[f"{name}_PORT"] = f"{ports[0].protocol.lower()}://{address}:{ports[0].port}"
    for port in ports:
        protocol = port.protocol.lower()
        prefix = f"{name}_PORT_{port.port}_{port.protocol}"
        found[prefix] = f"{protocol}://{address}:{port.port}"
        found[f"{prefix}_PROTO"] = protocol
        found[f"{prefix}_PORT"] = str(port.port)
        found[f"{prefix}_ADDR"] = address
    return found
