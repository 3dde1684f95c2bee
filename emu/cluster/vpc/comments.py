# SPDX-License-Identifier: GPL-2.0-only
"""What the comments of a VPC's rules say: written and read here, and nowhere else."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

_GUARD: Final = re.compile(r"VPC security groups (\S+) of (\S+) (\S+): (ingress|egress)")
_CHECK: Final = re.compile(r"VPC source/destination check of (\S+) (\S+)")
_RULING: Final = re.compile(r"VPC network ACL (.+) (ingress|egress)(?: rule (\d+)|: no rule, in subnet (.+))")


class Guard(NamedTuple):
    """Which groups of an interface let nothing pass, as the comment of the rule behind them says it."""

    groups: tuple[str, ...]
    owner: str
    iface: str
    direction: str

    def __str__(self) -> str:
        told = ",".join(self.groups) or "none"
        return f"VPC security groups {told} of {self.owner} {self.iface}: {self.direction}"

    @classmethod
    def of(cls, comment: str) -> Self | None:
        """Return what a comment says, None if it is that of another rule."""
        found = _GUARD.match(comment)
        return None if found is None else cls(tuple(found[1].split(",")), found[2], found[3], found[4])


class AddressCheck(NamedTuple):
    """At which interface source and destination are checked."""

    owner: str
    iface: str

    def __str__(self) -> str:
        return f"VPC source/destination check of {self.owner} {self.iface}"

    @classmethod
    def of(cls, comment: str) -> Self | None:
        """Return what a comment says, None if it is that of another rule."""
        found = _CHECK.match(comment)
        return None if found is None else cls(found[1], found[2])


class AclRuling(NamedTuple):
    """Which rule of a network ACL decided.

    Attributes:
        acl: its name.
        direction: `ingress` or `egress`.
        number: of the rule; None if none fits.
        subnet: where none fits.
    """

    acl: str
    direction: str
    number: int | None
    subnet: str = ""

    def __str__(self) -> str:
        which = f": no rule, in subnet {self.subnet}" if self.number is None else f" rule {self.number}"
        return f"VPC network ACL {self.acl} {self.direction}{which}"

    @classmethod
    def of(cls, comment: str) -> Self | None:
        """Return what a comment says, None if it is that of another rule."""
        found = _RULING.match(comment)
        if found is None:
            return None
        return cls(found[1], found[2], None if found[3] is None else int(found[3]), found[4] or "")
