# SPDX-License-Identifier: GPL-2.0-only
"""The option `ipMasq` of bridge and ptp: what leaves the container's own subnet gets the node's address.

    -A CNI-<24 hex> -d <subnet> -m comment ... -j ACCEPT
    -A CNI-<24 hex> ! -d 224.0.0.0/4 -m comment ... -j MASQUERADE
    -A POSTROUTING -s <address> -m comment ... -j CNI-<24 hex>

Source: containernetworking/plugins pkg/ip/ipmasq_iptables_linux.go, pkg/utils/utils.go.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from emu.kube.cni.error import CniError
from emu.kube.cni.rules import Tables, Words

if TYPE_CHECKING:
    from emu.kube.cni.call import Invocation
    from emu.wire.addresses import Interface

_LONGEST: Final = 28
_MULTICAST: Final = "224.0.0.0/4"


def chain_name(network: str, container_id: str, prefix: str = "") -> str:
    """Return the name of a container's chain: `CNI-`, `prefix`, digits of a SHA-512; 28 characters."""
    digest = hashlib.sha512(f"{network}{container_id}".encode()).hexdigest()
    return f"CNI-{prefix}{digest}"[:_LONGEST]


def rules(given: Invocation, address: Interface) -> tuple[str, tuple[Words, ...], Words]:
    """Return the chain of a container's address, its rules, and the one in POSTROUTING that leads there."""
    name = chain_name(given.network.name, given.call.container_id)
    text = f'name: "{given.network.name}" id: "{given.call.container_id}"'
    comment = ("-m", "comment", "--comment", text)
    return (
        name,
        (
            ("-d", str(address), "-j", "ACCEPT", *comment),
            ("!", "-d", _MULTICAST, "-j", "MASQUERADE", *comment),
        ),
        ("-s", str(address.address), "-j", name, *comment),
    )


def set_up(given: Invocation, address: Interface) -> None:
    """Masquerade what comes from a container's address."""
    tables = Tables(given.call.fabric, given.call.host)
    name, inside, jump = rules(given, address)
    tables.ensure_chain("nat", name)
    for rule in inside:
        tables.append_unique("nat", name, rule)
    tables.append_unique("nat", "POSTROUTING", jump)


def tear_down(given: Invocation) -> None:
    """Take the rules of a container away; there being none is no mistake."""
    name = chain_name(given.network.name, given.call.container_id)
    Tables(given.call.fabric, given.call.host).remove_chain("nat", name, ("POSTROUTING",))


def check(given: Invocation, address: Interface) -> None:
    """Look whether the rules are there.

    Raises:
        CniError: one is not.
    """
    tables = Tables(given.call.fabric, given.call.host)
    name, inside, jump = rules(given, address)
    for chain, rule in (*((name, each) for each in inside), ("POSTROUTING", jump)):
        if tables.chain("nat", chain) is None or not tables.has("nat", chain, rule):
            raise CniError(f"rule {' '.join(rule)} in chain {chain} of table nat not found")
