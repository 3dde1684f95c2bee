# SPDX-License-Identifier: GPL-2.0-only
"""What happens in a low-level network document, one class for each kind of action.

Times are nanoseconds, texts to send are octets, defaults are filled in. `None`
stands where the format leaves the choice to the kernel.
"""

from __future__ import annotations

import enum
from typing import Literal, NamedTuple, TypeAlias

import attrs

from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.wire.addresses import ANY_IP4, IpAddress

Expectation: TypeAlias = "str | tuple[str, ...]"


class CapturePoint(NamedTuple):
    """An interface of a namespace, where frames are recorded."""

    ns: str
    iface: str

    def __str__(self) -> str:
        return f"{self.ns}/{self.iface}"


@attrs.frozen
class Inject:
    """Send frames out of an interface, past the namespace's own stack.

    The whole list is sent `count` times, with `interval` after each frame.
    """

    ns: str
    iface: str
    frames: tuple[bytes, ...]
    count: int = 1
    interval: Duration = 0


class UdpReply(enum.Enum):
    """What a UDP server answers, where it is no fixed text."""

    ECHO = "echo"
    NONE = "none"


@attrs.frozen
class UdpServer:
    """Answer each datagram at once."""

    ns: str
    port: int
    addr: IpAddress = ANY_IP4
    reply: bytes | UdpReply = UdpReply.ECHO


@attrs.frozen
class TcpServer:
    """Accept connections and answer each piece read, `gap` later, with `reply` `repeat` times."""

    ns: str
    port: int
    addr: IpAddress = ANY_IP4
    reply: bytes = b"hello"
    repeat: int = 1
    gap: Duration = 150 * MILLISECOND
    hold: bool = False


@attrs.frozen
class TcpRequest:
    """Connect; if there is something to `send`, send it and read, `rounds` times; close.

    `src_port` 0 leaves it to the kernel, `ttl`, `tos` and `df` without a value do too.
    """

    ns: str
    dst: IpAddress
    dst_port: int
    src: IpAddress = ANY_IP4
    src_port: int = 0
    send: bytes = b""
    repeat: int = 1
    rounds: int = 1
    want: int = 1
    gap: Duration = 150 * MILLISECOND
    timeout: Duration = 3 * SECOND
    close: Literal["fin", "rst", "none"] = "fin"
    ttl: int | None = None
    tos: int | None = None
    df: bool | None = None


@attrs.frozen
class UdpRequest:
    """Send `payload` on a connected socket and wait for one datagram, `count` times."""

    ns: str
    dst: IpAddress
    dst_port: int
    src: IpAddress = ANY_IP4
    src_port: int = 0
    payload: bytes = b"ping"
    count: int = 1
    interval: Duration = 0
    timeout: Duration = SECOND
    ttl: int | None = None
    tos: int | None = None
    df: bool | None = None


@attrs.frozen
class Ping:
    """Send ICMP echo requests from a raw socket, the next one when the last has its outcome.

    `size` counts the octets of payload.
    """

    ns: str
    dst: IpAddress
    src: IpAddress | None = None
    id: int = 0x1234
    seq: int = 1
    size: int = 56
    count: int = 1
    interval: Duration = 200 * MILLISECOND
    timeout: Duration = SECOND
    ttl: int | None = None
    tos: int | None = None
    df: bool | None = None


@attrs.frozen
class Traceroute:
    """Send one UDP datagram for each TTL from 1 and note who complains."""

    ns: str
    dst: IpAddress
    max_ttl: int = 4
    base_port: int = 33434
    src_port: int = 44000
    timeout: Duration = 800 * MILLISECOND


@attrs.frozen
class Exec:
    """Run a command inside the namespace, without a shell."""

    ns: str
    argv: tuple[str, ...]
    may_fail: bool = False
    record: bool = False


@attrs.frozen
class IptablesChange:
    """Run `iptables -w` with `args`."""

    ns: str
    args: tuple[str, ...]


@attrs.frozen
class Sleep:
    """Let time pass."""

    duration: Duration


@attrs.frozen
class Quiet:
    """Wait until nothing was captured for `duration`, no longer than `limit`."""

    duration: Duration = 300 * MILLISECOND
    limit: Duration = 20 * SECOND


@attrs.frozen
class Snapshot:
    """Dump all tables under a `label`."""

    label: str


@attrs.frozen
class Tally:
    """Count the values of field `of` in the frames of a capture.

    Frames with equal `key` fields must have equal values; each count has to be
    within `between`, both limits included.
    """

    capture: CapturePoint
    key: tuple[str, ...]
    of: str
    between: tuple[int, int] | None = None


Action: TypeAlias = (
    Inject
    | UdpServer
    | TcpServer
    | TcpRequest
    | UdpRequest
    | Ping
    | Traceroute
    | Exec
    | IptablesChange
    | Sleep
    | Quiet
    | Snapshot
    | Tally
)


@attrs.frozen
class Step:
    """One entry of `actions`: what is done, under which name, and when the next one begins.

    `expect` is the outcome that has to come about. With `background` the next
    action begins `lead` after this one began; without, `settle` is the silence
    to wait for.
    """

    kind: str
    action: Action
    expect: Expectation | None = None
    background: bool = False
    lead: Duration = 100 * MILLISECOND
    settle: Duration = 120 * MILLISECOND
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)
