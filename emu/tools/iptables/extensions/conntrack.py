# SPDX-License-Identifier: GPL-2.0-only
"""`-m conntrack` and `-m state`. Source: extensions/libxt_conntrack.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction, Status
from emu.kernel.netfilter.matches.conntrack import (
    Conntrack,
    CtAddress,
    CtExpire,
    CtPort,
    CtProtocol,
    CtState,
    CtStatus,
    End,
    State,
    States,
)
from emu.tools.iptables import names
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions.hosts import host_and_mask, masked_text
from emu.tools.iptables.values import number, port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.tools.iptables.extension import Options, Written

_MAX: Final = 0xFFFFFFFF
_STATES: Final = (
    CtState.INVALID,
    CtState.NEW,
    CtState.RELATED,
    CtState.ESTABLISHED,
    CtState.UNTRACKED,
    CtState.SNAT,
    CtState.DNAT,
)
"""In the order in which they are printed."""

_PLAIN_STATES: Final = _STATES[:5]
_STATUS: Final = (Status.EXPECTED, Status.SEEN_REPLY, Status.ASSURED, Status.CONFIRMED)
_ADDRESSES: Final = {
    "ctorigsrc": End.ORIGINAL_SOURCE,
    "ctorigdst": End.ORIGINAL_DESTINATION,
    "ctreplsrc": End.REPLY_SOURCE,
    "ctrepldst": End.REPLY_DESTINATION,
}
_PORTS: Final = {f"{name}port": end for name, end in _ADDRESSES.items()}
_ADDRESS_WORDS: Final = {end: name for name, end in _ADDRESSES.items()}
_PORT_WORDS: Final = {end: name for name, end in _PORTS.items()}


def _states(text: str, allowed: tuple[CtState, ...], option: str) -> CtState:
    known = {str(state.name): state for state in allowed}
    total = CtState(0)
    for name in text.split(","):
        if name.upper() not in known:
            raise wrong(f'Bad {option} "{name}"')
        total |= known[name.upper()]
    return total


def _status(text: str) -> int:
    known = {str(bit.name): bit for bit in (Status.NONE, *_STATUS)}
    total = 0
    for name in text.split(","):
        if name.upper() not in known:
            raise wrong(f'Bad ctstatus "{name}"')
        total |= known[name.upper()]
    return total


def _protocol(written: Written) -> CtProtocol:
    value = names.protocol(written.value)
    if not value and written.inverted:
        raise wrong("conntrack: rule would never match protocol")
    return CtProtocol(value, inverted=written.inverted)


def _address(option: str, written: Written) -> CtAddress:
    found = host_and_mask(written.value)
    if found is None:
        raise wrong(f'conntrack: Bad value for "--{option}" option: "{written.value}"')
    return CtAddress(_ADDRESSES[option], bytes(found[0]), found[1], inverted=written.inverted)


def _port(option: str, written: Written) -> CtPort:
    first, colon, last = written.value.partition(":")
    low = port(first) if first or not colon else 0
    high = low if not colon else port(last) if last else 0xFFFF
    return CtPort(_PORTS[option], low, high, inverted=written.inverted)


def _expire(written: Written) -> CtExpire:
    first, colon, last = written.value.partition(":")
    low = number(first) if first or not colon else 0
    high = low if not colon else number(last) if last else _MAX
    if low is None or high is None:
        raise wrong(
            f'conntrack: bad value for option "--ctexpire" near "{written.value}", '
            f"or out of range (0-{_MAX}).\n"
        )
    return CtExpire(low, high, inverted=written.inverted)


def _direction(written: Written) -> Direction:
    try:
        return Direction[written.value.upper()]
    except KeyError:
        raise wrong(f'conntrack: Bad value for "--ctdir" option: "{written.value}"') from None


def _build(options: Options) -> Conntrack:
    if not options.given:
        raise wrong("conntrack: At least one option is required")
    given = options.given
    states = options.get("ctstate")
    status = options.get("ctstatus")
    return Conntrack(
        states and States(_states(states.value, _STATES, "ctstate"), inverted=states.inverted),
        _direction(given["ctdir"]) if "ctdir" in given else None,
        tuple(_address(name, given[name]) for name in _ADDRESSES if name in given),
        _protocol(given["ctproto"]) if "ctproto" in given else None,
        tuple(_port(name, given[name]) for name in _PORTS if name in given),
        status and CtStatus(_status(status.value), inverted=status.inverted),
        _expire(given["ctexpire"]) if "ctexpire" in given else None,
    )


def _state_names(states: CtState) -> str:
    return ",".join(str(state.name) for state in _STATES if states & state)


def _status_names(bits: int) -> str:
    return ",".join(str(bit.name) for bit in _STATUS if bits & bit) or "NONE"


def _range(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}:{last}"


def _words(match: Conntrack) -> Iterator[tuple[bool, str, str]]:
    """Yield what is asked: whether it is inverted, the option's name, its value."""
    if match.states is not None:
        yield match.states.inverted, "ctstate", _state_names(match.states.states)
    if match.protocol is not None:
        yield match.protocol.inverted, "ctproto", f"{match.protocol.number}"
    for address in match.addresses:
        yield address.inverted, _ADDRESS_WORDS[address.end], masked_text(address.address, address.mask)
    for one in match.ports:
        yield one.inverted, _PORT_WORDS[one.end], _range(one.first, one.last)
    if match.status is not None:
        yield match.status.inverted, "ctstatus", _status_names(match.status.bits)
    if match.expire is not None:
        yield match.expire.inverted, "ctexpire", _range(match.expire.first, match.expire.last)
    if match.direction is not None:
        yield False, "ctdir", match.direction.name


def _render(match: Conntrack) -> str:
    return " ".join(f"{'! ' if inverted else ''}--{name} {value}" for inverted, name, value in _words(match))


def _describe(match: Conntrack) -> str:
    return " ".join(f"{'! ' if inverted else ''}{name} {value}" for inverted, name, value in _words(match))


def _build_state(options: Options) -> State:
    states = _states(options.text("state"), _PLAIN_STATES, "state")
    return State(states, inverted=options.is_inverted("state"))


def _render_state(match: State) -> str:
    return f"{'! ' if match.inverted else ''}--state {_state_names(match.states)}"


def _describe_state(match: State) -> str:
    return f"{'! ' if match.inverted else ''}state {_state_names(match.states)}"


EXTENSIONS: Final = (
    Extension(
        name="conntrack",
        type=Conntrack,
        build=_build,
        render=_render,
        describe=_describe,
        options=(
            Option("ctstate", invertible=True),
            Option("ctproto", invertible=True),
            *(Option(name, invertible=True) for name in (*_ADDRESSES, *_PORTS)),
            Option("ctstatus", invertible=True),
            Option("ctexpire", invertible=True),
            Option("ctdir"),
        ),
    ),
    Extension(
        name="state",
        type=State,
        build=_build_state,
        render=_render_state,
        describe=_describe_state,
        options=(Option("state", invertible=True, required=True),),
    ),
)
