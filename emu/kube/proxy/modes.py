# SPDX-License-Identifier: GPL-2.0-only
"""The modes of kube-proxy: how Services come into the kernel of a node.

    Fleet --- Catalogue: Services, endpoints, health, the same in every mode
      |
      +--- Mode, one for all nodes of a mode: what they share of their rules
             |
             +--- Plane, one for each node: what is written there

A mode decides from service ports and a node's place alone; a plane makes the
node agree, and tells whether it still does. `MODES` says which there are.

Source: pkg/proxy/types.go, cmd/kube-proxy/app/server_linux.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.namespace import Namespace
    from emu.kube.proxy.node import Proxy
    from emu.kube.proxy.proxy import Fleet
    from emu.sim.time import Instant


class Plane(Protocol):
    """What the kube-proxy of one node has written there, in one mode."""

    def sync(self, now: Instant, *, full: bool) -> bool:
        """Make the node what it should be, and return whether anything had to be done.

        Args:
            now: the present instant.
            full: all is looked at anew, and not only what has changed.

        Raises:
            CommandError: the kernel refused it; nothing is changed, and the next sync is a full one.
        """

    def is_intact(self) -> bool:
        """Return whether nobody has taken away what was written: where one has, all is written anew."""

    def is_unfinished(self) -> bool:
        """Return whether something is left to be taken away by a later sync."""

    def stop(self) -> None:
        """End what runs by itself; what is in the kernel stays there."""

    def text(self) -> str:
        """Return the rules in the form in which the kernel's tool is given them by a full sync."""


class Mode(Protocol):
    """What all nodes that run in one mode have in common."""

    def begin(self, proxy: Proxy) -> Plane:
        """Return the plane of a node, of which nothing is written yet."""


@attrs.frozen
class Kind:
    """One of `MODES`.

    Attributes:
        make: returns the mode for all proxies of a cluster.
        clean_up: takes away what a proxy of this mode left on a node.
        cleans: the modes whose leftovers a proxy of this one takes away as it starts.
        node_port_addresses: which addresses serve node ports where nobody says it; none for all.
        ends_connections: they end in the proxy itself, and none that is tracked leads to an endpoint.
    """

    make: Callable[[Fleet], Mode]
    clean_up: Callable[[Namespace], None]
    cleans: tuple[str, ...] = ()
    node_port_addresses: tuple[str, ...] = ()
    ends_connections: bool = False


def _iptables(fleet: Fleet) -> Mode:
    from emu.kube.proxy.iptables_mode import IptablesMode  # noqa: PLC0415 - only where it is the mode

    return IptablesMode(fleet)


def _without_iptables(net: Namespace) -> None:
    from emu.kube.proxy.iptables_mode import clean_up  # noqa: PLC0415 - only where it was the mode

    clean_up(net)


def _nftables(fleet: Fleet) -> Mode:
    from emu.kube.proxy.nft.mode import NftablesMode  # noqa: PLC0415 - only where it is the mode

    return NftablesMode(fleet)


def _without_nftables(net: Namespace) -> None:
    from emu.kube.proxy.nft.mode import clean_up  # noqa: PLC0415 - only where it was the mode

    clean_up(net)


def _ipvs(fleet: Fleet) -> Mode:
    from emu.kube.proxy.ipvs.mode import IpvsMode  # noqa: PLC0415 - only where it is the mode

    return IpvsMode(fleet)


def _without_ipvs(net: Namespace) -> None:
    from emu.kube.proxy.ipvs.mode import clean_up  # noqa: PLC0415 - only where it was the mode

    clean_up(net)


def _userspace(fleet: Fleet) -> Mode:
    from emu.kube.proxy.userspace.mode import UserspaceMode  # noqa: PLC0415 - only where it is the mode

    return UserspaceMode(fleet)


def _without_userspace(net: Namespace) -> None:
    from emu.kube.proxy.userspace.portals import clean_up  # noqa: PLC0415 - only where it was the mode

    clean_up(net)


MODES: Final[Mapping[str, Kind]] = {
    "iptables": Kind(_iptables, _without_iptables, cleans=("nftables",)),
    "nftables": Kind(
        _nftables, _without_nftables, cleans=("iptables", "ipvs"), node_port_addresses=("primary",)
    ),
    "ipvs": Kind(_ipvs, _without_ipvs, cleans=("nftables",)),
    "userspace": Kind(_userspace, _without_userspace, cleans=("iptables", "ipvs"), ends_connections=True),
}
"""The modes that are modelled, by the names that KubeProxyConfiguration gives them."""

NOT_YET: Final[tuple[str, ...]] = ()
"""The modes that kube-proxy has or had, and that are not modelled."""


def clean_up(net: Namespace, mode: str) -> None:
    """Take away from a node what other modes left there, as far as a proxy of `mode` does when it starts."""
    for other in MODES[mode].cleans:
        if other in MODES:
            MODES[other].clean_up(net)
