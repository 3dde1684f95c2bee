# SPDX-License-Identifier: GPL-2.0-only
"""The `Cluster` document of `emu/v1` to a `ClusterSpec`. Unknown keys are faults."""

from __future__ import annotations

from typing import Any, Final, Literal

from emu.cluster.topology import nics, values
from emu.cluster.topology.proxy_reader import read_proxy
from emu.cluster.topology.spec import (
    POD_CIDR,
    SERVICE_CIDR,
    ClusterSpec,
    NetworkSpec,
    NodeSpec,
    ProxySpec,
)
from emu.document import MappingNode
from emu.document.fields import Fields, Place, elements, one_of, text
from emu.errors import AddressError, did_you_mean
from emu.kube.policy.settings import Settings as PolicySettings
from emu.kube.providers import PROVIDERS, OptionsError, weave
from emu.kube.providers.provider import UNKNOWN_OPTION
from emu.wire.addresses import Prefix

_POD_CIDRS: Final = {"weave": weave.RANGE}
"""Where pods have their addresses by default, with providers that have a range of their own."""

_NOT_YET: Final = ("cilium", "antrea", "ovn-kubernetes")


def read_cluster(place: Place) -> ClusterSpec:
    """Return the cluster that a document describes."""
    fields = Fields(place)
    fields.ignore("apiVersion")
    fields.ignore("kind")
    name = fields.get("metadata", _name, "emu")
    return fields.done(fields.get("spec", lambda spec: _spec(spec, name), ClusterSpec(name)))


def _name(place: Place) -> str:
    fields = Fields(place)
    fields.ignore("labels")
    fields.ignore("annotations")
    return fields.done(fields.get("name", values.name, "emu"))


def _spec(place: Place, name: str) -> ClusterSpec:
    fields = Fields(place)
    network = fields.get("network", _network, NetworkSpec())
    return fields.done(
        ClusterSpec(
            name,
            seed=fields.get("seed", values.seed, 0),
            kubernetes=fields.get("kubernetes", values.version, ClusterSpec().kubernetes),
            pod_cidr=fields.get("podCIDR", values.prefixes, _pods_of(network)),
            service_cidr=fields.get("serviceCIDR", values.prefixes, SERVICE_CIDR),
            network=network,
            proxy=fields.get("kubeProxy", read_proxy, ProxySpec()),
            policies=fields.get("networkPolicy", _policies, PolicySettings()),
            nodes=_nodes(fields),
            ingress=fields.get("addons", _ingress, "auto"),
        )
    )


def _pods_of(network: NetworkSpec) -> Prefix:
    """Return where pods have their addresses if the document does not say it."""
    pool = network.options.get("pool") if network.provider == "calico" else None
    try:
        return Prefix.parse(pool) if isinstance(pool, str) else _POD_CIDRS.get(network.provider, POD_CIDR)
    except AddressError:  # told with the other faults of the options
        return POD_CIDR


def _ingress(place: Place) -> Literal["auto", "nginx", "none"]:
    """Read which add-ons are installed that not every cluster has."""
    fields = Fields(place)
    found = fields.get("ingress", one_of("auto", "nginx", "none"), "auto")
    return fields.done(found)  # type: ignore[arg-type]  # one of those


def _policies(place: Place) -> PolicySettings:
    """Read what NetworkPolicy leaves open."""
    fields = Fields(place)
    established = fields.get("establishedConnections", one_of("keep", "recheck"), "keep")
    peer = fields.get("hostNetworkPeer", one_of("node", "pod"), "node")
    return fields.done(PolicySettings(established, peer))  # type: ignore[arg-type]  # those that there are


def _nodes(fields: Fields) -> tuple[NodeSpec, ...]:
    nodes = fields.each("nodes", _node)
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        if node.name in seen:
            fields.place.at("nodes").at(index).fault(f"a second node {node.name}")
        seen.add(node.name)
    return nodes


def _node(place: Place) -> NodeSpec:
    fields = Fields(place)
    found = fields.done(
        NodeSpec(
            fields.must("name", values.name),
            role=fields.get("role", one_of("control-plane", "worker"), "worker"),
            zone=fields.get("zone", text, ""),
            addresses=fields.each("addresses", nics.addresses),
            labels=fields.get("labels", values.texts, {}),
            taints=fields.get("taints", lambda each: elements(each, values.taint), None),
            pod_cidr=fields.get("podCIDR", values.prefix, None),
            sysctls=fields.get("sysctls", values.settings, {}),
            subnet=fields.get("subnet", text, ""),
            node_ip=fields.get("nodeIP", values.address, None),
            routes=fields.each("routes", nics.route),
            nics=fields.each("nics", nics.nic),
        )
    )
    own = [each.address for device in found.addresses for each in device]
    if found.node_ip is not None and found.node_ip not in own:
        fields.place.at("nodeIP").fault("is none of the node's addresses")
    nics.check_settings(fields.place.at("sysctls"), found)
    return found


def _network(place: Place) -> NetworkSpec:
    """Read the provider and its options: its own settings may stand under its name."""
    fields = Fields(place)
    provider = fields.get("provider", _provider, "kindnet")
    options: dict[str, Any] = {}
    value = fields.place.value
    for key, own in value.items() if isinstance(value, MappingNode) else ():
        fields.ignore(key)
        if key in {"provider", "policy", "iface"}:
            continue
        if key == provider and isinstance(own, MappingNode):
            options |= own
        elif key in PROVIDERS and isinstance(own, MappingNode):
            _check_options(place, key, own)  # those of a provider that is not used
        else:
            options[key] = own
    policy = fields.get("policy", one_of("provider", "none", "iptables"), "provider")
    try:
        PROVIDERS[provider](options)
    except OptionsError as error:
        for fault in error.faults:
            meant = ""
            if fault.message.startswith(UNKNOWN_OPTION) and "did you mean" not in fault.message:
                meant = did_you_mean(fault.path.removeprefix("$."), ("provider", "policy", *PROVIDERS))
            _place_of(place, fault.path).fault(f"{fault.message}{meant}")
    iface = fields.get("iface", text, "")
    return NetworkSpec(provider, options, policy, iface)  # type: ignore[arg-type]  # those that there are


def _check_options(network: Place, provider: str, options: MappingNode) -> None:
    """Report what is wrong with the options of a provider that stand under its name."""
    values: dict[str, Any] = dict(options)
    try:
        PROVIDERS[provider](values)
    except OptionsError as error:
        for fault in error.faults:
            key = fault.path.removeprefix("$.").partition(".")[0].partition("[")[0]
            network.at(provider).at(key).fault(fault.message)


def _place_of(network: Place, path: str) -> Place:
    """Return where an option stands: beside the provider's name, or below it."""
    key = path.removeprefix("$.").partition(".")[0].partition("[")[0]
    own = network.at("provider").value
    inner = network.at(str(own))
    return inner.at(key) if inner.is_given and inner.at(key).is_given else network.at(key)


def _provider(place: Place) -> str:
    if place.value in _NOT_YET:
        place.fault(f"the provider {place.value} is not modelled yet; there are {', '.join(PROVIDERS)}")
        return "kindnet"
    return one_of(*PROVIDERS)(place)
