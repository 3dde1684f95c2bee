# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel refuses. Source: include/uapi/linux/netfilter/ipset/ip_set.h `enum ipset_errno`."""

from __future__ import annotations

import enum

from emu.errors import EmuError


class Refusal(enum.Enum):
    """Why; named as the kernel does, or as its errno."""

    NO_SUCH_SET = "ENOENT"
    INVALID = "EINVAL"
    NO_MEMORY = "ENOMEM"
    RANGE_TOO_LARGE = "ERANGE"
    TYPE_UNSUPPORTED = "IPSET_ERR_FIND_TYPE"
    BUSY = "IPSET_ERR_BUSY"
    EXIST = "IPSET_ERR_EXIST"
    EXIST_SETNAME2 = "IPSET_ERR_EXIST_SETNAME2"
    TYPE_MISMATCH = "IPSET_ERR_TYPE_MISMATCH"
    INVALID_CIDR = "IPSET_ERR_INVALID_CIDR"
    INVALID_NETMASK = "IPSET_ERR_INVALID_NETMASK"
    TIMEOUT = "IPSET_ERR_TIMEOUT"
    REFERENCED = "IPSET_ERR_REFERENCED"
    COUNTER = "IPSET_ERR_COUNTER"
    COMMENT = "IPSET_ERR_COMMENT"
    SKBINFO = "IPSET_ERR_SKBINFO"
    INVALID_PROTO = "IPSET_ERR_INVALID_PROTO"
    HASH_FULL = "IPSET_ERR_HASH_FULL"
    HASH_ELEM = "IPSET_ERR_HASH_ELEM"
    HASH_RANGE = "IPSET_ERR_HASH_RANGE"
    HASH_RANGE_UNSUPPORTED = "IPSET_ERR_HASH_RANGE_UNSUPPORTED"
    BITMAP_RANGE = "IPSET_ERR_BITMAP_RANGE"
    BITMAP_RANGE_SIZE = "IPSET_ERR_BITMAP_RANGE_SIZE"
    NAME = "IPSET_ERR_NAME"
    LOOP = "IPSET_ERR_LOOP"
    NAMEREF = "IPSET_ERR_NAMEREF"
    REF_EXIST = "IPSET_ERR_REF_EXIST"


class IpSetError(EmuError):
    """A set cannot be made, changed or removed that way.

    Attributes:
        refusal: why.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
