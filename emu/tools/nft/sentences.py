# SPDX-License-Identifier: GPL-2.0-only
"""Rules as `nft` lists them. Source: nftables, src/statement.c, src/netlink_delinearize.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import statements as st
from emu.kernel.netfilter.nftables.typing_of import CT, META, type_of, types_of
from emu.tools.nft import phrases, rejects
from emu.tools.nft.constants import render_atom, render_flags, render_time
from emu.tools.nft.implied import hidden
from emu.tools.nft.limits import render_limit
from emu.tools.nft.statements import LOG_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.kernel.netfilter.nftables.ruleset import Rule

_SHOWN_OPERATORS: Final = ("!=", "<", ">", "<=", ">=")


def rule(found: Rule, family: str, *, stateless: bool = False, numeric: bool = False) -> str:
    """Return a rule of a table of `family`.

    Args:
        found: the rule.
        family: that of its table.
        stateless: counters are left out (`-s`).
        numeric: protocols are numbers (`-n`).
    """
    unsaid = hidden(found.statements, family)
    texts = [
        _Sentence(family, stateless=stateless, numeric=numeric).text(one)
        for at, one in enumerate(found.statements)
        if at not in unsaid
    ]
    if found.comment:
        texts.append(f'comment "{found.comment}"')
    return " ".join(texts)


def counter(found: st.Counter, *, stateless: bool = False) -> str:
    """Return a counter."""
    return "counter" if stateless else f"counter packets {found.packets} bytes {found.octets}"


def attached(found: Sequence[st.Counter | st.Limit], *, stateless: bool = False, counts: bool = True) -> str:
    """Return what an element counts or limits by, with a blank before each."""
    return "".join(
        f" {render_limit(one)}"
        if isinstance(one, st.Limit)
        else f" {counter(one, stateless=stateless or not counts)}"
        for one in found
    )


class _Sentence:
    def __init__(self, family: str, *, stateless: bool, numeric: bool) -> None:
        self.family = family
        self.stateless = stateless
        self.numeric = numeric

    def text(self, statement: st.Statement) -> str:  # noqa: PLR0912 - one line a kind
        """Return a statement."""
        match statement:
            case st.Match():
                return self._match(statement)
            case st.Vmap(key, found):
                return (
                    f"{phrases.expression(key)} vmap {phrases.members(found, types_of(key), (of.VERDICT,))}"
                )
            case ex.Decision():
                return phrases.decision(statement)
            case st.Counter():
                return counter(statement, stateless=self.stateless)
            case st.NamedObject(kind, name):
                named = phrases.mapped(name, (of.OBJECT,)) if isinstance(name, ex.Mapped) else f'"{name}"'
                return f"{kind} name {named}"
            case st.Limit():
                return render_limit(statement)
            case st.Log():
                return _log(statement)
            case st.Reject():
                return rejects.render(statement, is_default=rejects.is_default(statement, self.family))
            case st.Nat():
                return self._nat(statement)
            case st.SetMeta(key, value):
                return f"meta {key} set {phrases.value(value, META[key])}"
            case st.SetCt(key, value, direction):
                target = phrases.expression(ex.Ct(key, direction))
                return f"{target} set {phrases.value(value, CT[key])}"
            case st.SetPayload(field, value):
                return f"{phrases.expression(field)} set {phrases.value(value, type_of(field))}"
            case st.SetOption(option, value):
                return f"{phrases.expression(option)} set {phrases.value(value, type_of(option))}"
            case st.Notrack():
                return "notrack"
            case st.Update():
                return _update(statement)
            case st.Unmodelled(_, text):
                return text
            case _:
                assert_never(statement)

    # --- conditions ---

    def _match(self, match: st.Match) -> str:
        left, right = match.left, match.right
        if isinstance(left, ex.Joined):
            assert isinstance(right, tuple)
            pairs = zip(left.parts, right, strict=True)
            return " ".join(self._match(st.Match(field, match.operator, value)) for field, value in pairs)
        types = types_of(left)
        text = phrases.expression(left)
        if isinstance(right, ex.SetName | ex.Members):
            operator = self._operator(match, is_set=True)
            return f"{text} {operator}{phrases.members(right, types, numeric=self.numeric)}"
        assert not isinstance(right, tuple)
        if types[0].flags and isinstance(right, int):
            return self._flags(match, left, right, types[0])
        if isinstance(left, ex.RawPayload) and isinstance(right, int):
            return f"{text} {self._operator(match)}0x{right:x}"
        shown = phrases.single(right, types[0], numeric=self.numeric)
        return f"{text} {self._operator(match)}{shown}"

    def _operator(self, match: st.Match, *, is_set: bool = False) -> str:
        if match.operator in _SHOWN_OPERATORS:
            return f"{match.operator} "
        wide = not is_set and isinstance(match.right, ex.Range)
        return "== " if isinstance(match.left, ex.Bitwise) and not wide else ""

    def _flags(self, match: st.Match, left: ex.Expression, right: int, datatype: DataType) -> str:
        text = phrases.expression(left)
        if match.operator in ("any", "none"):
            no = "! " if match.operator == "none" else ""
            return f"{text} {no}{render_flags(right, datatype, ',')}"
        if isinstance(left, ex.Bitwise) and left.mask.bit_count() > 1 and match.operator in ("==", "!="):
            no = "!= " if match.operator == "!=" else ""
            names = [render_flags(number, datatype, ",") for number in (right, left.mask)]
            return f"{phrases.expression(left.of)} {no}{' / '.join(names)}"
        is_plain = isinstance(left, ex.Payload) and right.bit_count() > 1
        shown = f"0x{right:x}" if is_plain else render_flags(right, datatype, " | ")
        return f"{text} {match.operator} {shown}"

    # --- translation ---

    def _nat(self, nat: st.Nat) -> str:
        datatype = of.IPV6_ADDR if nat.family == 6 else of.IPV4_ADDR
        target = _ports(nat.to, _addresses(nat, datatype))
        names_family = nat.family and (self.family == "inet" or nat.form)
        words = [nat.kind]
        if names_family and (nat.to.low is not None or self.family == "inet"):
            words.append("ip6" if nat.family == 6 else "ip")
        if nat.form == "prefix":
            words.append("prefix")
        if target:
            words += ["to", target]
        if nat.flags:
            words.append(",".join(nat.flags))
        return " ".join(words)


def _addresses(nat: st.Nat, datatype: DataType) -> str:
    low, high = nat.to.low, nat.to.high
    if low is None:
        return ""
    if isinstance(low, ex.Mapped):
        types = (datatype, of.INET_SERVICE) if nat.form == "concat" else (datatype,)
        return phrases.mapped(low, types)
    if not isinstance(low, int):
        return phrases.expression(low)
    if high is None:
        return (
            f"[{render_atom(low, datatype)}]"
            if datatype.bits == 128 and nat.to.port
            else render_atom(low, datatype)
        )
    return phrases.single(ex.Range(low, high), datatype, in_set=True)


def _ports(to: st.Address, address: str) -> str:
    if to.port is None:
        return address
    if isinstance(to.port, int):
        last = "" if to.last_port is None else f"-{to.last_port}"
        return f"{address}:{to.port}{last}"
    assert isinstance(to.port, ex.Mapped)
    return f"{address}:{phrases.mapped(to.port, (of.INET_SERVICE,))}"


# --- others ---


def _log(log: st.Log) -> str:
    text = "log"
    if log.prefix:
        text += f' prefix "{log.prefix}"'
    if log.group is not None:
        text += f" group {log.group}"
        text += f" snaplen {log.snaplen}" if log.snaplen else ""
        text += f" queue-threshold {log.threshold}" if log.threshold else ""
        return text
    if log.level != "warn":
        text += f" level {log.level}"
    if log.flags == LOG_FLAGS:
        return f"{text} flags all"
    tcp = [flag.removeprefix("tcp ") for flag in log.flags if flag.startswith("tcp ")]
    if tcp:
        text += f" flags tcp {','.join(tcp)}"
    return text + "".join(f" flags {flag}" for flag in log.flags if not flag.startswith("tcp "))


def _update(update: st.Update) -> str:
    timeout = f" timeout {render_time(update.timeout)}" if update.timeout else ""
    text = f"{phrases.expression(update.key)}{timeout}{attached(update.statements, counts=False)}"
    if update.data is not None:
        assert not isinstance(update.data, int | str)
        text += f" : {phrases.expression(update.data)}"
    return f"{update.verb} @{update.set} {{ {text} }}"
