# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies: Services of every kind with endpoints in every state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from emu.testing.proxies import endpoint, service, slice_of

if TYPE_CHECKING:
    from emu.kube.api.objects.service import Endpoint, EndpointSlice, Service

NODES: Final = ("a", "b", "c")
ZONES: Final = ("east", "west")
_RANGES: Final = ("198.51.100.0/24", "192.168.0.0/24", "203.0.113.0/25")


def endpoints(ip: str) -> st.SearchStrategy[Endpoint]:
    """An endpoint with the address `ip`, anywhere, in any state, for anybody; shrinks to a ready one."""
    return st.builds(
        endpoint,
        st.just(ip),
        st.sampled_from((None, *NODES)),
        ready=st.sampled_from((None, True, False)),
        serving=st.sampled_from((None, True, False)),
        terminating=st.sampled_from((None, False, True)),
        zones=st.sampled_from(((), ("east",), ("west",), ZONES)),
        nodes=st.sampled_from(((), ("a",), ("b", "c"))),
    )


@st.composite
def services(draw: st.DrawFn, number: int) -> tuple[Service, EndpointSlice]:
    """A Service with addresses by its `number`, and its endpoints; shrinks to a ClusterIP without any."""
    kind = draw(st.sampled_from(("ClusterIP", "NodePort", "LoadBalancer")))
    policies = st.sampled_from(("Cluster", "Local"))
    ports = [("", 80)] if draw(st.booleans()) else [("http", 80), ("admin", 8000)]
    protocol = draw(st.sampled_from(("TCP", "UDP", "SCTP")))
    external = draw(policies) if kind != "ClusterIP" else "Cluster"
    name = f"ns/s{number}"
    made = service(
        name,
        f"172.30.0.{number + 1}",
        ports,
        protocol=protocol,
        node_port=30000 + 10 * number if kind != "ClusterIP" else 0,
        ingress=(f"203.0.113.{200 + number}",) if kind == "LoadBalancer" and draw(st.booleans()) else (),
        type=kind,
        external_ips=(f"192.168.99.{number + 1}",) if draw(st.booleans()) else (),
        external_traffic_policy=external,
        internal_traffic_policy=draw(policies),
        load_balancer_source_ranges=tuple(draw(st.lists(st.sampled_from(_RANGES), unique=True, max_size=2))),
        health_check_node_port=32000 + number if kind == "LoadBalancer" and external == "Local" else 0,
        session_affinity=draw(st.sampled_from(("None", "ClientIP"))),
    )
    count = draw(st.integers(0, 5))
    listed = [draw(endpoints(f"10.{number}.0.{at + 1}")) for at in range(count)]
    targets = [(port, target + 8) for port, target in ports]
    return made, slice_of(name, listed, targets, protocol=protocol)


def clusters(most: int = 3) -> st.SearchStrategy[list[tuple[Service, EndpointSlice]]]:
    """Up to `most` Services with their endpoints; shrinks to none."""
    return st.integers(0, most).flatmap(
        lambda count: st.tuples(*(services(number) for number in range(count))).map(list)
    )
