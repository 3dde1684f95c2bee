# SPDX-License-Identifier: GPL-2.0-only
"""Connections that a node's kube-proxy took in mode userspace, and had nobody to pass on to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Service
from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import SVC_NO_ENDPOINTS
from emu.verify.causes.rules import port_index
from emu.verify.causes.service import why_no_endpoints
from emu.verify.story import Way

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.verify.story import Story


def of_ended(network: Emulation, story: Story) -> Cause | None:
    """Return why a proxy on a node ended what it had taken, None if none did.

    Args:
        network: as the packets left it.
        story: all of it.
    """
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane
    from emu.kube.proxy.userspace.mode import UserspacePlane  # noqa: PLC0415 - nor proxies

    request = story.request
    if request is None or story.onward is not None or not isinstance(network, Cluster):
        return None
    step = request.end.step
    _, node = network.owners(step.net)
    proxy = None if node is None else network.proxies.proxies.get(node)
    if proxy is None or not isinstance(proxy.plane, UserspacePlane):
        return None
    taken = proxy.plane.taken_at(request.tuples[-1].dport)
    if taken is None or taken.rotation.endpoints:
        return None
    namespace, name, port = taken.key
    service = network.store.find(Service, name, namespace)
    if service is None:
        return None
    why = why_no_endpoints(network.store, service, port_index(network.store, (namespace, name, port)))
    words = f"the proxy on {node} took it, and {why.words}"
    return Cause(SVC_NO_ENDPOINTS, words, Way.REQUEST, step.net, step.device, why.fix, why.object, why.field)
