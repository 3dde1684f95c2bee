# SPDX-License-Identifier: GPL-2.0-only
"""kind's own `Cluster` file to a `ClusterSpec`.

As kind does, it is read strictly: unknown fields are faults. What only concerns
containers of the host (mounts, patches, images) is taken and left aside.

Source: sigs.k8s.io/kind pkg/apis/config/v1alpha4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.cluster.topology import values
from emu.cluster.topology.spec import (
    DEFAULT_VERSION,
    KIND_SERVICE_CIDR,
    POD_CIDR,
    ClusterSpec,
    NetworkSpec,
    NodeSpec,
    ProxySpec,
    Role,
)
from emu.document.fields import Fields, boolean, elements, integer, one_of, text
from emu.kube.proxy.modes import MODES, NOT_YET

if TYPE_CHECKING:
    from emu.document.fields import Place
    from emu.wire.addresses import Prefix

_MODES: Final = ("iptables", "nftables", "ipvs", "none")
API_VERSION: Final = "kind.x-k8s.io/v1alpha4"
_IMAGE: Final = re.compile(r"kindest/node:v(1\.\d+)")
_ASIDE: Final = (
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
    "containerdConfigPatches",
    "containerdConfigPatchesJSON6902",
    "featureGates",
    "runtimeConfig",
)


def read_kind(place: Place) -> ClusterSpec:
    """Return the cluster that kind would make of a file."""
    fields = Fields(place)
    for key in ("apiVersion", "kind", *_ASIDE):
        fields.ignore(key)
    name = fields.get("name", values.name, "kind")
    found = fields.each("nodes", _node)
    roles: tuple[Role, ...] = tuple(role for role, _, _ in found) or ("control-plane",)
    if "control-plane" not in roles:
        fields.place.at("nodes").fault("must have at least one control-plane node")
    pods, services, provider, mode = fields.get(
        "networking", _networking, (POD_CIDR, KIND_SERVICE_CIDR, "kindnet", "iptables")
    )
    versions = [version for _, version, _ in found if version]
    labels = [each for _, _, each in found] or [{}]
    names = _names(name, roles)
    nodes = tuple(
        NodeSpec(each, role, labels=own) for each, role, own in zip(names, roles, labels, strict=True)
    )
    return fields.done(
        ClusterSpec(
            name,
            kubernetes=versions[0] if versions else DEFAULT_VERSION,
            pod_cidr=pods,
            service_cidr=services,
            network=NetworkSpec("none" if provider == "none" else "kindnet"),
            proxy=ProxySpec(mode),  # type: ignore[arg-type]  # one of those that there are
            nodes=nodes,
            is_kind=True,
        )
    )


def _names(cluster: str, roles: tuple[Role, ...]) -> list[str]:
    """Return what kind calls the nodes: the second of a role has a 2 behind it."""
    counts: dict[str, int] = {}
    found = []
    for role in roles:
        counts[role] = counts.get(role, 0) + 1
        number = "" if counts[role] == 1 else str(counts[role])
        found.append(f"{cluster}-{role}{number}")
    return found


def _node(place: Place) -> tuple[Role, str, dict[str, str]]:
    """Read role, version of Kubernetes (empty if the image does not tell) and labels."""
    fields = Fields(place)
    for key in ("extraMounts", "extraPortMappings", "kubeadmConfigPatches", "kubeadmConfigPatchesJSON6902"):
        fields.ignore(key)
    roles = one_of("control-plane", "worker")
    role: Role = fields.get("role", roles, "control-plane")  # type: ignore[arg-type]  # both are roles
    image = _IMAGE.match(fields.get("image", text, ""))
    labels = dict(fields.get("labels", values.texts, {}))
    return fields.done((role, image[1] if image is not None else "", labels))


def _networking(place: Place) -> tuple[Prefix, Prefix, str, str]:
    fields = Fields(place)
    family = fields.get("ipFamily", one_of("ipv4", "ipv6", "dual"), "ipv4")
    if family != "ipv4":
        fields.place.at("ipFamily").fault(f"{family} is not modelled: only ipv4 is")
    pods = fields.get("podSubnet", _subnet, POD_CIDR)
    services = fields.get("serviceSubnet", _subnet, KIND_SERVICE_CIDR)
    fields.get("apiServerAddress", text, "")
    fields.get("apiServerPort", integer(-1, 65535), 0)
    fields.get("dnsSearch", lambda each: elements(each, text), ())
    provider = "none" if fields.get("disableDefaultCNI", boolean, False) else "kindnet"
    mode = fields.get("kubeProxyMode", _mode, "iptables")
    return fields.done((pods, services, provider, mode))


def _subnet(place: Place) -> Prefix:
    """Read a range; a pair joined by a comma is of dual stack."""
    if isinstance(place.value, str) and "," in place.value:
        place.fault("a pair of ranges is dual stack, which is not modelled")
        return POD_CIDR
    return values.prefix(place)


def _mode(place: Place) -> str:
    if place.value in NOT_YET:
        place.fault(f"the mode {place.value} is not modelled yet; there are {', '.join(MODES)} and none")
        return "iptables"
    if place.value not in _MODES:
        place.fault(f"invalid kubeProxyMode: {place.value}")
        return "iptables"
    return str(place.value)
