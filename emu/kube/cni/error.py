# SPDX-License-Identifier: GPL-2.0-only
"""What a plugin or the runtime answers when it fails. Source: CNI specification 1.1.0, section 5, "Error"."""

from __future__ import annotations

import enum
import json

from emu.errors import EmuError


class ErrorCode(enum.IntEnum):
    """The well-known codes; from 100 on they are a plugin's own, and 999 is the library's."""

    UNKNOWN = 0
    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_NETWORK_CONFIG = 7
    INVALID_NETNS = 8
    TRY_AGAIN_LATER = 11
    PLUGIN_NOT_AVAILABLE = 50
    LIMITED_CONNECTIVITY = 51
    INTERNAL = 999


class CniError(EmuError):
    """An operation failed.

    `str()` of it is the message; `code` is one of the specification, or a
    plugin's own, and `details` says more.
    """

    def __init__(self, message: str, code: int = ErrorCode.INTERNAL, details: str = "") -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message
        self.details = details

    def as_json(self, cni_version: str) -> str:
        """Return what the plugin prints on standard output."""
        found: dict[str, str | int] = {"cniVersion": cni_version, "code": self.code, "msg": self.message}
        if self.details:
            found["details"] = self.details
        return json.dumps(found, indent=4)
