# SPDX-License-Identifier: GPL-2.0-only
"""What was measured, as a page of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.comparison.measure import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.verify.comparison.measure import Row

_HEAD: Final = """\
# What providers do to the same packets

This page is written by a command. It runs `topologies/providers/*.yaml`, each with the shop of
`topologies/providers/shop.yaml`, sends the same packets through them and looks at every tap; a
test tells when the page is out of date:

```
python -m emu.verify.comparison topologies/providers > docs/reference/providers.md
```

The nodes have an underlay of 1500 octets, in a VPC what that has; `client` and `cart-0` are on
worker-1, `cart-1` is on worker-2.

## A segment from pod to pod, across two nodes
"""

_COLUMNS: Final = ("provider", "next hop", "by", "on the wire", "added", "through", "TTL", "pod MTU", "MSS")

_BETWEEN: Final = """
*Next hop*: whom the pod asks for by ARP. *By*: the device by which the node sends the packet on
first. *Added*: octets between the Ethernet header and the packet, outer headers and inner MAC
addresses. *Through*: the machines between the two nodes. *TTL*: at the other pod; 64 at the
beginning, and less one for each router. *MSS*: what the pod announces; with the headers around it
no frame exceeds the underlay.

## On one node
"""

_SOURCES: Final = """
64 means that a bridge switches the frame, with the pods' own MAC addresses; 63 that the node
routes it.

## Whom the asked sees
"""

_TAIL: Final = """
*node*: its InternalIP. Where the client of a node port is seen as something else, kube-proxy or the
provider masquerades on the entry node, for the answer to come back by it
(`externalTrafficPolicy: Cluster`).

Which flows of *your* cluster fare otherwise with another provider, says
`emu diff -f ... --set network.provider=NAME`.
"""


def page(rows: Iterable[Row]) -> str:
    """Return the page for some providers."""
    found = list(rows)
    between = [
        (
            row.name,
            row.next_hop,
            row.leads,
            "; ".join(row.wire.outer) or "as it is",
            str(row.wire.added),
            ", ".join(row.between),
            str(row.ttl),
            str(row.mtu),
            str(row.mss),
        )
        for row in found
    ]
    near = [(row.name, str(row.near_ttl), row.enforces or "nobody") for row in found]
    sources = [(row.name, *(row.sources[each] for each in QUESTIONS)) for row in found]
    return "\n".join(
        (
            _HEAD,
            *_table(_COLUMNS, between),
            _BETWEEN,
            *_table(("provider", "TTL", "NetworkPolicies are enforced by"), near),
            _SOURCES,
            *_table(("provider", *QUESTIONS), sources),
            _TAIL,
        )
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
