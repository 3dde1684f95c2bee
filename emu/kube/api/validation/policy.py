# SPDX-License-Identifier: GPL-2.0-only
"""The rules of NetworkPolicies.

Source: `ValidateNetworkPolicySpec` of pkg/apis/networking/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.validation import names
from emu.kube.api.validation.addresses import check_cidr
from emu.kube.api.validation.metadata import check_metadata, check_selector
from emu.kube.api.validation.ports import check_number, check_number_or_name

if TYPE_CHECKING:
    from emu.kube.api.validation.addresses import Network
    from emu.kube.api.validation.field import Field


def check_network_policy(policy: Field) -> None:
    """Check a NetworkPolicy."""
    check_metadata(policy.at("metadata"), names.subdomain)
    spec = policy.at("spec")
    check_selector(spec.at("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.items(direction):
            for port in rule.items("ports"):
                _check_port(port)
            for peer in rule.items(peers):
                _check_peer(peer)
    types = spec.at("policyTypes")
    if len(types.elements()) > 2:
        types.invalid("may not specify more than two policyTypes")
        return
    for kind in types.elements():
        kind.one_of("Ingress", "Egress")


def _check_port(field: Field) -> None:
    field.at("protocol").one_of("TCP", "UDP", "SCTP")
    port, end = field.at("port"), field.at("endPort")
    if port.is_given:
        check_number_or_name(port)
    if not end.is_given:
        return
    if not port.is_given:
        end.invalid("may not be specified when `port` is not specified")
    elif isinstance(port.value, str):
        end.invalid("may not be specified when `port` is non-numeric")
    elif type(port.value) is int and type(end.value) is int:
        if end.value < port.value:
            end.invalid("must be greater than or equal to `port`")
        check_number(end)


def _check_peer(peer: Field) -> None:
    check_selector(peer.at("podSelector"))
    check_selector(peer.at("namespaceSelector"))
    selects = peer.has("podSelector") or peer.has("namespaceSelector")
    block = peer.at("ipBlock")
    if block.is_given:
        _check_block(block)
        if selects:
            peer.forbidden("may not specify both ipBlock and another peer")
    elif not selects:
        peer.required("must specify a peer")


def _check_block(block: Field) -> None:
    cidr = block.at("cidr")
    if not cidr.value:
        cidr.required()
        return
    around = check_cidr(cidr)
    if around is None:
        return
    for exception in block.items("except"):
        inner = check_cidr(exception)
        if inner is not None and not _is_strict_subset(inner, around):
            exception.invalid("must be a strict subset of `cidr`")


def _is_strict_subset(inner: Network, around: Network) -> bool:
    return (
        inner.version == around.version
        and inner.network_address in around
        and inner.prefixlen > around.prefixlen
    )
