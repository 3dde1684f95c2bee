# SPDX-License-Identifier: GPL-2.0-only
"""A packet at a hook, with what rules ask about it. Source: `struct xt_action_param`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emu.kernel.netfilter.matches.comment import Comment
from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.hooks import Hook
    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.skb import Skb

PORT_PROTOCOLS: Final = frozenset((6, 17, 33, 132, 136))
"""TCP, UDP, DCCP, SCTP, UDP-Lite: two ports are the first four octets."""


class Packet:
    """What hook functions, matches and targets are given.

    Attributes:
        net: the namespace.
        skb: the packet; its rewriting methods are the only way to change it.
        hook: where it is.
        iif: name of the device it came in by, empty where the hook does not know it.
        oif: name of the device it leaves by, empty where the hook does not know it.
        in_device: the device called `iif`.
        out_device: the device called `oif`.
        physin: the bridge port it came in by, empty if it was not bridged.
        physout: the bridge port it leaves by, likewise.
        hotdrop: a match found it too short to be judged: it is dropped.
        because: what the verdict comes from, in words or as a fact.
        table: the name of the table that is walked.
        chain: the name of the chain that is walked.
        rule: the number of the rule that is asked.
        rules: the rules of the chain.
        memories: what the rules of the table remember, by chain and number.
    """

    # What most packets never get differs from these defaults: one is made for each hook of each packet.
    physin = ""
    physout = ""
    hotdrop = False
    because: str | Fact = ""
    table = ""
    chain = ""
    rule = 0
    rules: tuple[Rule, ...] = ()
    _ports_of = b""
    _ports: tuple[int, int] | None = None

    def __init__(
        self,
        net: Namespace,
        skb: Skb,
        hook: Hook,
        *,
        in_device: Device | None = None,
        out_device: Device | None = None,
        physin: str = "",
        physout: str = "",
    ) -> None:
        self.net = net
        self.skb = skb
        self.hook = hook
        self.in_device = in_device
        self.out_device = out_device
        self.iif = in_device.name if in_device is not None else ""
        self.oif = out_device.name if out_device is not None else ""
        self.memories: dict[tuple[str, int], dict[Any, Any]] = {}
        if physin:
            self.physin, self.physout = physin, physout

    @property
    def ways(self) -> tuple[str, str]:
        """Where the rule that is asked leads, and where a packet goes that it does not hold for, in words."""
        rules = self.rules[self.rule : self.rule + 2]
        chains = [getattr(rule.target, "chain", "") for rule in rules]
        here = next(iter(chains), "") or f"rule {self.rule + 1}"
        if len(rules) > 1 and chains[1] and all(isinstance(match, Comment) for match in rules[1].matches):
            return here, chains[1]
        return here, f"not {here}"

    @property
    def memory(self) -> dict[Any, Any]:
        """What the rule that is asked remembers in this namespace (`nth`, `limit`), keyed by its match."""
        return self.memories.setdefault((self.chain, self.rule), {})

    @property
    def connection(self) -> Connection | None:
        """The connection it belongs to; None if it is not tracked, or invalid."""
        return self.skb.connection

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port of a protocol that has ports.

        None for others, for any fragment but the first, and where the packet
        ends before.
        """
        packet = self.skb.packet
        if self._ports_of is not packet:
            self._ports_of = packet
            self._ports = self._find_ports()
        return self._ports

    def _find_ports(self) -> tuple[int, int] | None:
        header, packet = self.skb.header, self.skb.packet
        if header.protocol not in PORT_PROTOCOLS or header.fragment & OFFSET_MASK:
            return None
        at = (header.version_ihl & 15) * 4
        if len(packet) < at + 4:
            return None
        return packet[at] << 8 | packet[at + 1], packet[at + 2] << 8 | packet[at + 3]
