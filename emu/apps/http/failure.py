# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong between a request and its answer."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.apps.http.message import Response
    from emu.sim.time import Duration


class Failure(enum.Enum):
    """What went wrong."""

    RESOLVE = "the name has no address"
    REFUSED = "connection refused"
    CONNECT_TIMEOUT = "no connection in time"
    NO_ROUTE = "no way there"
    TIMEOUT = "no whole answer in time"
    RESET = "connection reset"
    EMPTY = "closed without an answer"
    PARTIAL = "closed in the middle of the answer"
    MALFORMED = "the answer is no HTTP"
    TOO_LARGE = "the answer is too long"
    TLS = "no TLS with the server"
    CERTIFICATE = "the certificate is refused"


@attrs.frozen
class Failed:
    """A request that got no answer.

    Attributes:
        failure: what went wrong.
        number: errno, 0 if no system call failed.
        detail: more, in words; empty if there is no more.
        response: what had arrived of the answer, None if not even its head.
        elapsed: since the beginning, ns.
    """

    failure: Failure
    number: int = 0
    detail: str = ""
    response: Response | None = None
    elapsed: Duration = 0
