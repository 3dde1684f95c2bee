# SPDX-License-Identifier: GPL-2.0-only
"""What the API server writes of itself: the Service `kubernetes`, its slice and its Endpoints.

Source: pkg/controlplane/controller/kubernetesservice/controller.go,
pkg/controlplane/reconcilers/{endpointsadapter,instancecount}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.defaults import family_of
from emu.kube.api.objects import Endpoints, EndpointSlice, Service
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.service import (
    SERVICE_NAME,
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    EndpointsPort,
    EndpointSubset,
    ServicePort,
    ServiceSpec,
)
from emu.kube.endpoints.mirroring import SKIP

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "kubernetes"
NAMESPACE: Final = "default"
PORT: Final = 6443
"""Where kubeadm and kind have the API server listen."""


def service(address: str, port: int = PORT) -> Service:
    """Return the Service of the API server, without what `ServiceRanges.create` adds.

    Args:
        address: the first of the Service range.
        port: where the API server listens.
    """
    return Service(
        Meta(NAME, NAMESPACE, labels={"component": "apiserver", "provider": "kubernetes"}),
        ServiceSpec(
            ports=(ServicePort(443, "https", target_port=port),),
            cluster_ip=address,
            cluster_ips=(address,),
        ),
    )


def endpoint_slice(addresses: Sequence[str], port: int = PORT) -> EndpointSlice:
    """Return its slice, which has a name of its own choice.

    Args:
        addresses: those of the control plane's nodes, of one family.
        port: where they listen.
    """
    ordered = sorted(addresses)
    return EndpointSlice(
        Meta(NAME, NAMESPACE, labels={SERVICE_NAME: NAME}, generation=1),
        family_of(ordered[0]) if ordered else "IPv4",
        tuple(Endpoint((each,), EndpointConditions(ready=True)) for each in ordered),
        (EndpointPort("https", port, "TCP"),),
    )


def endpoints(addresses: Sequence[str], port: int = PORT) -> Endpoints:
    """Return its Endpoints, which are not to be mirrored."""
    ordered = tuple(EndpointAddress(each) for each in sorted(addresses))
    subset = EndpointSubset(ordered, (), (EndpointsPort(port, "https"),))
    return Endpoints(Meta(NAME, NAMESPACE, labels={SKIP: "true"}), (subset,) if ordered else ())
