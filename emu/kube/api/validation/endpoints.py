# SPDX-License-Identifier: GPL-2.0-only
"""The rules of EndpointSlices and Endpoints.

Source: pkg/apis/discovery/validation/validation.go; `ValidateEndpoints` of
pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.addresses import check_ip, check_ordinary, parsed
from emu.kube.api.validation.metadata import check_metadata
from emu.kube.api.validation.ports import PROTOCOLS, check_number

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

_MAX_ADDRESSES: Final = 100  # of an endpoint
_MAX_PORTS: Final = 20_000
_MAX_ENDPOINTS: Final = 1000
_FAMILIES: Final = {"IPv4": 4, "IPv6": 6}


def check_endpoint_slice(piece: Field) -> None:
    """Check an EndpointSlice."""
    check_metadata(piece.at("metadata"), names.subdomain)
    kind = piece.at("addressType")
    if kind.value == "":
        kind.required()
    else:
        kind.one_of("FQDN", "IPv4", "IPv6")
    endpoints = piece.at("endpoints")
    if len(endpoints.elements()) > _MAX_ENDPOINTS:
        endpoints.too_many(_MAX_ENDPOINTS)
    else:
        for endpoint in endpoints.elements():
            _check_endpoint(endpoint, kind.value if isinstance(kind.value, str) else "")
    _check_ports(piece.at("ports"))


def _check_endpoint(endpoint: Field, kind: str) -> None:
    addresses = endpoint.at("addresses")
    if not addresses.value:
        addresses.required("must contain at least 1 address")
    elif len(addresses.elements()) > _MAX_ADDRESSES:
        addresses.too_many(_MAX_ADDRESSES)
    for address in addresses.elements():
        if kind == "FQDN":
            check_domain(address)
        elif kind in _FAMILIES and isinstance(address.value, str):
            _check_address(address, address.value, kind)
    if hostname := endpoint.text("hostname"):
        endpoint.at("hostname").each_invalid(names.label(hostname))
    if node := endpoint.text("nodeName"):
        endpoint.at("nodeName").each_invalid(names.subdomain(node))


def _check_address(address: Field, text: str, kind: str) -> None:
    ip = parsed(text)
    if ip is None or ip.version != _FAMILIES[kind]:
        address.invalid(f"must be a valid {kind} address")
    else:
        check_ip(address)
        check_ordinary(address, ip)


def check_domain(address: Field) -> None:
    """Check a fully qualified domain name, which has a dot at least."""
    if isinstance(address.value, str):
        name = address.value.removesuffix(".")
        address.each_invalid(names.subdomain(name))
        if name.count(".") < 1:
            address.invalid("should be a domain with at least two segments separated by dots")


def _check_ports(ports: Field) -> None:
    if len(ports.elements()) > _MAX_PORTS:
        ports.too_many(_MAX_PORTS)
        return
    seen: set[str] = set()
    for port in ports.elements():
        name = port.text("name")
        if name:
            port.at("name").each_invalid(names.label(name))
        if name in seen:
            port.at("name").duplicate(name)
        seen.add(name)
        port.at("protocol").one_of(*PROTOCOLS)
        if port.has("port"):
            check_number(port.at("port"))
        if protocol := port.text("appProtocol"):
            port.at("appProtocol").each_invalid(names.qualified_name(protocol))


def check_endpoints(endpoints: Field) -> None:
    """Check an Endpoints object."""
    check_metadata(endpoints.at("metadata"), names.subdomain)
    for subset in endpoints.items("subsets"):
        ready, others = subset.items("addresses"), subset.items("notReadyAddresses")
        if not ready and not others:
            subset.required("must specify `addresses` or `notReadyAddresses`")
        for address in (*ready, *others):
            ip = check_ip(address.at("ip"))
            if ip is not None:
                check_ordinary(address.at("ip"), ip)
            if hostname := address.text("hostname"):
                address.at("hostname").each_invalid(names.label(hostname))
        ports = subset.items("ports")
        for port in ports:
            if name := port.text("name"):
                port.at("name").each_invalid(names.label(name))
            elif len(ports) > 1:
                port.at("name").required()
            check_number(port.at("port"))
            port.at("protocol").one_of(*PROTOCOLS)
