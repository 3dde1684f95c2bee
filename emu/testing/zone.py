# SPDX-License-Identifier: GPL-2.0-only
"""A name server's answers out of a table.

zone = Zone({("web.example", "A"): ["10.0.0.2"]})
lab.start("b", dns_server.serve(zone.answer))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.apps.dns_server import Transport
    from emu.wire.addresses import IpAddress


class Zone:
    """A server that answers from a table, and can be told to fail.

    Attributes:
        records: what the data are, by name (without a dot at its end) and type.
        code: that every reply has instead, None for none.
        deaf: types whose next query, one for each time it is in the list, gets no reply.
        asked: name and type of all queries, in order.
    """

    def __init__(
        self,
        records: Mapping[tuple[str, str], list[str]],
        *,
        code: int | None = None,
        deaf: Iterable[str] = (),
    ) -> None:
        self.records = records
        self.code = code
        self.deaf = list(deaf)
        self.asked: list[tuple[str, str]] = []

    def answer(self, query: dns.message.Message, _: IpAddress, __: Transport) -> dns.message.Message | None:
        """Answer one query."""
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if kind in self.deaf:
            self.deaf.remove(kind)
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        if self.code is not None:
            reply.set_rcode(dns.rcode.Rcode(self.code))
            return reply
        for wanted in ("CNAME", kind):
            found = self.records.get((name, wanted))
            if found:
                reply.answer.append(dns.rrset.from_text(name + ".", 30, "IN", wanted, *found))
                name = found[0].removesuffix(".") if wanted == "CNAME" else name
        if not reply.answer and not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply
