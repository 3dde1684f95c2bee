# SPDX-License-Identifier: GPL-2.0-only
"""Statements turned into functions. Source: net/netfilter/nft_*.c, one file a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from emu.kernel.netfilter import log_line, reject
from emu.kernel.netfilter.conntrack.entry import CtInfo
from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import statements as st
from emu.kernel.netfilter.nftables.evaluation import BREAK, NotModelledError, outcome
from emu.kernel.netfilter.nftables.load_option import lower_maxseg
from emu.kernel.netfilter.nftables.loads import load
from emu.kernel.netfilter.nftables.matching import compile_match, compile_vmap
from emu.kernel.netfilter.nftables.rewriting import compile_write
from emu.kernel.netfilter.nftables.states import CounterState, LimitState
from emu.kernel.netfilter.nftables.translation import compile_nat
from emu.kernel.netfilter.nftables.updating import compile_update
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.skb import PacketType

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load, Outcome, Step

_PACKET_TYPES: Final = (
    PacketType.HOST,
    PacketType.BROADCAST,
    PacketType.MULTICAST,
    PacketType.OTHERHOST,
)
_OF_ANY_FAMILY: Final = (0, 3, 1, 13)
"""The codes of ICMP for those of `icmpx`."""


def compile_statement(statement: st.Statement, at: int) -> Step:  # noqa: PLR0912 - one line a kind
    """Return what a statement does.

    Args:
        statement: the statement.
        at: its place in the rule, where its state is kept.

    Raises:
        NotModelledError: it asks for what is not modelled.
    """
    match statement:
        case st.Match():
            return compile_match(statement)
        case st.Vmap():
            return compile_vmap(statement)
        case ex.Decision():
            verdict = outcome(statement)
            return lambda _: verdict
        case st.Counter():
            return _compile_counter(at)
        case st.Limit():
            return _compile_limit(at)
        case st.NamedObject():
            return _compile_object(statement)
        case st.Log():
            return _compile_log(statement)
        case st.Reject():
            return _compile_reject(statement)
        case st.Nat():
            return compile_nat(statement)
        case st.SetMeta(key, value):
            return _compile_meta(key, load_value(value))
        case st.SetCt(key, value, direction):
            return _compile_ct(key, load_value(value), direction)
        case st.SetPayload(field, value):
            return compile_write(field, load_value(value))
        case st.SetOption(_, value):
            return lower_maxseg(load_value(value))
        case st.Notrack():
            return _untrack
        case st.Update():
            return compile_update(statement)
        case st.Unmodelled(name):
            raise NotModelledError(name)
        case _:
            assert_never(statement)


def load_value(value: int | str | ex.Expression) -> Load:
    """Return a reader of what is assigned."""
    if isinstance(value, int | str):
        return lambda _: value
    return load(value)


# --- counting and limiting ---


def _compile_counter(at: int) -> Step:
    def step(evaluation: Evaluation) -> Outcome:
        state = evaluation.rule.states[at]
        assert isinstance(state, CounterState)
        state.count(len(evaluation.skb.packet))
        return None

    return step


def _compile_limit(at: int) -> Step:
    def step(evaluation: Evaluation) -> Outcome:
        state = evaluation.rule.states[at]
        assert isinstance(state, LimitState)
        return None if state.holds(evaluation.now, len(evaluation.skb.packet)) else BREAK

    return step


def _compile_object(statement: st.NamedObject) -> Step:
    kind = statement.kind
    if kind not in ("counter", "limit"):
        raise NotModelledError(f"{kind} name")
    name = statement.name
    read: Load = (lambda _: name) if isinstance(name, str) else load(name)

    def step(evaluation: Evaluation) -> Outcome:
        state = None
        found = read(evaluation)
        if found is not None:
            state = evaluation.table.objects[kind, found].state
        if state is None:
            return BREAK
        if isinstance(state, CounterState):
            state.count(len(evaluation.skb.packet))
            return None
        return None if state.holds(evaluation.now, len(evaluation.skb.packet)) else BREAK

    return step


# --- telling ---


def _compile_log(log: st.Log) -> Step:
    stage = "log" if log.group is None else f"nflog {log.group}"

    def step(evaluation: Evaluation) -> Outcome:
        packet = evaluation.packet
        if packet.net.recorder is not None:
            line = log_line.render(packet, log_line.LogFields())
            packet.net.note(packet.skb, stage, f"{log.prefix}{line}")
        return None

    return step


def _compile_reject(statement: st.Reject) -> Step:
    code = _OF_ANY_FAMILY[statement.code] if statement.kind == "icmpx" else statement.code

    def step(evaluation: Evaluation) -> Outcome:
        if statement.kind == "tcp":
            reject.send_reset(evaluation.packet)
        else:
            reject.send_unreachable(evaluation.packet, code)
        return Verdict.DROP

    return step


# --- metadata ---


def _compile_meta(key: str, value: Load) -> Step:
    def mark(evaluation: Evaluation) -> Outcome:
        number = value(evaluation)
        if number is None:
            return BREAK
        evaluation.skb.mark = number
        return None

    def packet_type(evaluation: Evaluation) -> Outcome:
        number, skb = value(evaluation), evaluation.skb
        if number is None:
            return BREAK
        if number < len(_PACKET_TYPES):
            skb.packet_type = _PACKET_TYPES[number]
        return None

    return {"mark": mark, "pkttype": packet_type, "nftrace": lambda _: None}[key]


def _compile_ct(key: str, value: Load, direction: str) -> Step:
    def mark(evaluation: Evaluation) -> Outcome:
        number, connection = value(evaluation), evaluation.skb.connection
        if number is None:
            return BREAK
        if connection is not None:
            connection.mark = number
        return None

    def zone(evaluation: Evaluation) -> Outcome:
        number, skb = value(evaluation), evaluation.skb
        if number is None:
            return BREAK
        if skb.connection is None and skb.zones == (0, 0):
            skb.zones = (0 if direction == "reply" else number, 0 if direction == "original" else number)
        return None

    return mark if key == "mark" else zone


def _untrack(evaluation: Evaluation) -> Outcome:
    skb = evaluation.skb
    if skb.connection is None and skb.zones == (0, 0):
        skb.ctinfo = CtInfo.UNTRACKED
    return None
