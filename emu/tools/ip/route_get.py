# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip route get`, and what it prints.

Source: iproute2 6.1, ip/iproute.c `iproute_get`; net/ipv4/route.c `rt_fill_info`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.route import TABLE_MAIN, RouteType
from emu.tools.ip.names import TABLES, name_of
from emu.tools.ip.record import Record
from emu.tools.ip.route import tos
from emu.tools.ip.route_show import put_flags
from emu.tools.ip.values import SECOND, count, interface
from emu.tools.ip.words import Grammar, Option, Words, text, yes
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.tools.ip.options import Options

_NOT_GIVEN: Final = IpAddress(ANY_IP4)


@attrs.define
class Question:
    """What is asked: which way goes a packet with these properties?

    Attributes:
        dst: its destination.
        src: its source.
        iif: it comes in by this device; empty for a packet of this host.
        oif: it must leave by this device.
        mark: its firewall mark.
        tos: its TOS.
        fibmatch: the route itself is wanted.
    """

    dst: IpAddress = _NOT_GIVEN
    src: IpAddress | None = None
    iif: str = ""
    oif: str = ""
    mark: int = 0
    tos: int = 0
    fibmatch: bool = False


def _address(words: Words) -> IpAddress:
    """Take an address; a prefix length is warned of by Linux, and else ignored."""
    return interface(words.take())[0].address


def _dst(question: Question, word: str, words: Words) -> None:
    if word == "to":
        word = words.take()
    question.dst = _address(Words([word]))


_GET: Final = Grammar[Question](
    "ip route get",
    (
        Option(("fibmatch",), "fibmatch", yes),
        Option(("from",), "src", _address, short=True),
        Option(("tos", "dsfield"), "tos", tos),
        Option(("iif",), "iif", text, short=True),
        Option(("mark",), "mark", count("invalid mark value"), short=True),
        Option(("oif", "dev"), "oif", text),
    ),
    _dst,
    ("connected", "dport", "ipproto", "notify", "sport", "uid", "vrf"),
)


def parse(words: Words) -> Question:
    """Return what `words` ask.

    Raises:
        CommandError: they make no sense.
    """
    question = _GET.fill(Question(), words)
    if question.dst is _NOT_GIVEN:
        raise CommandError("need at least a destination address", 1)
    return question


@attrs.frozen
class Answer:
    """Where the packet goes.

    Attributes:
        type: what happens to it.
        device: it leaves by this device; the loopback if it is for this host.
        gateway: the router it goes to, None if its destination is on the link.
        prefsrc: the source it gets; None where it has one.
        table: number of the table in which the route was found.
        mtu: of the route, or learned; 0 for neither.
        mtu_locked: what ICMP reports about the MTU does not count.
        expires: how long what was learned lives on, ns; None where nothing was.
        redirected: a router said so (ICMP redirect).
        redirects: its sender is told of a better way.
    """

    type: RouteType
    device: str
    gateway: IpAddress | None
    prefsrc: IpAddress | None
    table: int = TABLE_MAIN
    mtu: int = 0
    mtu_locked: bool = False
    expires: int | None = None
    redirected: bool = False
    redirects: bool = False


_ALL_HOSTS: Final = b"\xe0\0\0\1"  # 224.0.0.1, the one group that every host is in


def _cache_flags(question: Question, answer: Answer) -> Iterator[str]:
    if answer.type in {RouteType.LOCAL, RouteType.BROADCAST} or question.dst == _ALL_HOSTS:
        yield "local"
    if answer.type is RouteType.MULTICAST:
        yield "mc"
    if answer.type is RouteType.BROADCAST:
        yield "brd"
    if answer.redirected:
        yield "redirected"
    if answer.redirects:
        yield "redirect"


def render(question: Question, answer: Answer, options: Options, *, listed: bool = False) -> Record:
    """Return what is printed; `listed`: by `ip route show cache`."""
    record = Record()
    if answer.type is not RouteType.UNICAST or options.details:
        record.put("type", answer.type.value, f"{answer.type.value} ")
    record.put("dst", str(question.dst), f"{question.dst} ")
    if question.src is not None:
        record.put("from", str(question.src), f"from {question.src} ")
    if answer.gateway is not None:
        record.put("gateway", str(answer.gateway), f"via {answer.gateway} ")
    record.put("dev", answer.device, f"dev {answer.device} ")
    if answer.table != TABLE_MAIN or options.details:
        name = name_of(answer.table, TABLES)
        record.put("table", name, f"table {name} ")
    if answer.prefsrc is not None:
        record.put("prefsrc", str(answer.prefsrc), f"src {answer.prefsrc} ")
    # the kernel's mark for a group is what iproute2 takes for a flag of offloading
    put_flags(record, ["rt_offload_failed"] if answer.type is RouteType.MULTICAST else [])
    if question.mark:
        shown = f"{question.mark:#x}" if question.mark >= 16 else str(question.mark)
        record.put("mark", question.mark, f"mark {shown} ")
    if not question.iif and not listed:
        record.put("uid", 0, "uid 0 ")
    _put_cache(record, question, answer)
    record.show("\n")
    return record


def _put_cache(record: Record, question: Question, answer: Answer) -> None:
    words = list(_cache_flags(question, answer))
    record.put("cache", words, "\n    cache " + (f"<{','.join(words)}> " if words else ""))
    if answer.expires is not None:
        seconds = answer.expires // SECOND
        record.put("expires", seconds, f"expires {seconds}sec ")
    if answer.mtu:
        lock = "lock " if answer.mtu_locked else ""
        record.put("metrics", [{"mtu": answer.mtu}], f"mtu {lock}{answer.mtu} ")
    if question.iif:
        record.put("iif", question.iif, f"iif {question.iif} ")
