# SPDX-License-Identifier: GPL-2.0-only
"""The rules of Nodes, Namespaces and of what holds data.

Source: `ValidateNode`, `ValidateNamespace`, `ValidateConfigMap`, `ValidateSecret` of
pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.validation import names
from emu.kube.api.validation.addresses import check_cidr, check_ip, parsed
from emu.kube.api.validation.metadata import check_metadata
from emu.kube.api.validation.scheduling import check_taints

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field


def check_node(node: Field) -> None:
    """Check a Node."""
    check_metadata(node.at("metadata"), names.subdomain, namespaced=False)
    spec = node.at("spec")
    check_taints(spec.at("taints"))
    single, several = spec.at("podCIDR"), spec.at("podCIDRs")
    if several.value:
        _check_cidrs(several)
        first = several.elements()[0].value if several.elements() else None
        if single.value and single.value != first:
            single.invalid("must match the first entry of `podCIDRs`")
    elif single.value:
        check_cidr(single)
    for address in node.at("status").items("addresses"):
        if address.text("type") in {"InternalIP", "ExternalIP"}:
            check_ip(address.at("address"))


def _check_cidrs(cidrs: Field) -> None:
    networks = [network for cidr in cidrs.elements() if (network := check_cidr(cidr)) is not None]
    if len({network.version for network in networks}) < len(networks):
        cidrs.invalid("may specify no more than one CIDR for each IP family")


def check_namespace(namespace: Field) -> None:
    """Check a Namespace."""
    check_metadata(namespace.at("metadata"), names.label, namespaced=False)


def check_data(holder: Field) -> None:
    """Check a ConfigMap or Secret: the keys of what it holds."""
    check_metadata(holder.at("metadata"), names.subdomain)
    for part in ("data", "binaryData", "stringData"):
        for key, field in holder.at(part).entries():
            for complaint in names.config_key(key):
                field.invalid(complaint, value=key)


def check_only_metadata(thing: Field) -> None:
    """Check what the network does not ask about."""
    check_metadata(thing.at("metadata"), names.subdomain)


def check_ip_address(address: Field) -> None:
    """Check an IPAddress, which is called as the address it stands for."""
    name = address.at("metadata", "name")
    if not name.value:
        name.required("name or generateName is required")
    elif isinstance(name.value, str) and parsed(name.value) is None:
        name.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def check_service_cidr(service_cidr: Field) -> None:
    """Check a ServiceCIDR."""
    check_metadata(service_cidr.at("metadata"), names.subdomain, namespaced=False)
    cidrs = service_cidr.at("spec", "cidrs")
    if not cidrs.value:
        cidrs.required("at least one CIDR required")
    else:
        _check_cidrs(cidrs)
