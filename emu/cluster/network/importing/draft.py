# SPDX-License-Identifier: GPL-2.0-only
"""A network document that is being written, and what has to be said about it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps import commands
from emu.cluster.network.actions import CapturePoint, Exec, Step
from emu.cluster.network.model import NamespaceSpec, NetworkDocument, RulesFile
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.network.actions import Action
    from emu.cluster.network.model import (
        BridgeSpec,
        IpipSpec,
        IptablesBackend,
        LinkSpec,
        NeighbourSpec,
        RouteSpec,
        Sysctl,
        VxlanSpec,
    )

_NOT_IN_NAMES: Final = re.compile(r"[^\w-]", re.ASCII)
_LONGEST_NAME: Final = 80  # a document's names have 100 letters at most


@attrs.frozen
class Remarks:
    """What is in a document that nobody recorded, and what was recorded and is not in it."""

    invented: tuple[str, ...]
    left_out: tuple[str, ...]


@attrs.define
class Draft:
    """The parts of a document so far.

    Attributes:
        rules: by kind (`iptables`, `nft`, `ipset`), then by namespace.
        backend: which iptables printed the rules, empty until one is known.
        invented: what nobody recorded, in words.
        left_out: what was recorded and is not in the document, in words.
    """

    links: list[LinkSpec] = attrs.field(factory=list)
    bridges: list[BridgeSpec] = attrs.field(factory=list)
    vxlans: list[VxlanSpec] = attrs.field(factory=list)
    ipips: list[IpipSpec] = attrs.field(factory=list)
    neighbours: list[NeighbourSpec] = attrs.field(factory=list)
    routes: list[RouteSpec] = attrs.field(factory=list)
    rules: dict[str, dict[str, RulesFile]] = attrs.field(
        factory=lambda: {"iptables": {}, "nft": {}, "ipset": {}}
    )
    backend: IptablesBackend | None = None
    captures: list[CapturePoint] = attrs.field(factory=list)
    actions: list[Step] = attrs.field(factory=list)
    invented: list[str] = attrs.field(factory=list)
    left_out: list[str] = attrs.field(factory=list)
    _namespaces: dict[str, NamespaceSpec] = attrs.field(factory=dict)

    def new_namespace(self, wanted: str, sysctls: Iterable[Sysctl] = (), late: Iterable[Sysctl] = ()) -> str:
        """Make a namespace called as near to `wanted` as names allow, and return its name."""
        plain = _NOT_IN_NAMES.sub("-", wanted)[:_LONGEST_NAME] or "-"
        name, number = plain, 2
        while name in self._namespaces:
            name, number = f"{plain}-{number}", number + 1
        self._namespaces[name] = NamespaceSpec(name, tuple(sysctls), tuple(late))
        return name

    def configure(self, name: str, sysctls: Iterable[Sysctl], late: Iterable[Sysctl]) -> None:
        """Give a namespace its settings."""
        self._namespaces[name] = NamespaceSpec(name, tuple(sysctls), tuple(late))

    def do(self, kind: str, action: Action) -> None:
        """Add an action."""
        self.actions.append(Step(kind, action))

    def execute(self, ns: str, argv: Sequence[str], what: str) -> bool:
        """Add a command, and return True; one that is not modelled leaves `what` out."""
        complaint = commands.check(argv)
        if complaint is None:
            self.do("exec", Exec(ns, tuple(argv)))
            return True
        self.left_out.append(f"{ns}: {what} ({complaint:.200})")
        return False

    def document(self, title: str) -> NetworkDocument:
        """Return what has been written."""
        return NetworkDocument(
            title=title,
            namespaces=tuple(self._namespaces.values()),
            links=tuple(self.links),
            bridges=tuple(self.bridges),
            vxlans=tuple(self.vxlans),
            ipips=tuple(self.ipips),
            neighbours=tuple(self.neighbours),
            routes=tuple(self.routes),
            iptables=self.rules["iptables"],
            nft=self.rules["nft"],
            ipset=self.rules["ipset"],
            iptables_backend=self.backend or "nft",
            captures=tuple(self.captures),
            actions=tuple(self.actions),
        )

    @property
    def remarks(self) -> Remarks:
        """What is to be said about it, nothing twice."""
        return Remarks(tuple(dict.fromkeys(self.invented)), tuple(dict.fromkeys(self.left_out)))


def invented_mac(ns: str, device: str) -> MacAddress:
    """Return a locally administered address that is the same whenever it is asked for."""
    digest = hashlib.sha256(f"{ns}/{device}".encode()).digest()
    return MacAddress(b"\x02" + digest[:5])
