# SPDX-License-Identifier: GPL-2.0-only
"""Sets and maps with a name: what stands between their braces.

Source: nftables, src/parser_bison.y (`set_block`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables.ruleset import Element, Set
from emu.kernel.netfilter.nftables.typing_of import types_of
from emu.tools.nft import elements, expressions
from emu.tools.nft.faults import SyntaxFaultError, UnmodelledError
from emu.tools.nft.limits import take_limit
from emu.tools.nft.recovering import note, pass_over
from emu.tools.nft.scope import Scope
from emu.tools.nft.values import Kind, take_comment, take_counts, take_elements, take_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.faults import Place
    from emu.tools.nft.tokens import Tokens

FLAGS: Final = ("constant", "dynamic", "interval", "timeout")
"""As they are listed."""
_OBJECTS: Final = ("counter", "quota", "limit", "secmark", "synproxy")


@attrs.define
class SetBlock:
    """A set while it is read.

    Attributes:
        name: of the set.
        place: of its name.
        is_map: it is a map.
        family: of the table.
        elements_at: where its elements begin, None where there are none.
        is_whole: nothing in it was passed over.
    """

    name: str
    place: Place
    is_map: bool
    family: str
    set: Set
    elements_at: int | None = None
    is_whole: bool = True


def take_block(tokens: Tokens, family: str, name: str, place: Place, *, is_map: bool) -> SetBlock:
    """Take a set in braces, its elements left for `take_members`.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    block = SetBlock(name, place, is_map, family, Set(name, ()))
    tokens.expect("{")
    while True:
        while tokens.next.kind == "newline" or tokens.sees(";"):
            tokens.take()
        if tokens.accept("}"):
            break
        begin = tokens.at
        try:
            _take_one(tokens, block)
        except (SyntaxFaultError, UnmodelledError) as error:
            block.is_whole = False
            pass_over(tokens, begin, error)
    if not block.is_whole:
        tokens.doubtful.add(name)
    elif not block.set.key:
        raise SyntaxFaultError(place, "set definition does not specify key")
    elif is_map and not block.set.data:
        raise SyntaxFaultError(place, "map definition does not specify mapping data type")
    return block


def _take_one(tokens: Tokens, block: SetBlock) -> None:
    word = tokens.next
    reader = _READERS.get(word.text) if word.kind == "word" else None
    if reader is None:
        raise tokens.unexpected()
    tokens.take()
    reader(tokens, block)
    if tokens.next.kind != "newline" and not tokens.sees(";", "}"):
        raise tokens.unexpected()


def take_members(tokens: Tokens, block: SetBlock) -> tuple[Element, ...]:
    """Return the elements of a set that was read."""
    if block.elements_at is None:
        return ()
    end, tokens.at = tokens.at, block.elements_at
    try:
        return take_named(tokens, block.set)
    except (SyntaxFaultError, UnmodelledError) as error:
        note(tokens, error)
        tokens.doubtful.add("")
        return ()
    finally:
        tokens.at = end


def kind_of(known: Set) -> Kind:
    """Return what the elements of a set look like."""
    verdicts = known.data == (of.VERDICT,)
    objects = known.data == (of.OBJECT,)
    data = () if verdicts or objects else known.data
    return Kind(known.key, data, verdicts, objects, known.is_interval, known.data_interval)


def take_named(tokens: Tokens, known: Set) -> tuple[Element, ...]:
    """Take elements in braces for a set with a name; what is wrong with single ones is noted.

    Raises:
        SyntaxFaultError: the set has not such elements.
    """
    noted = len(tokens.faults)
    placed = take_elements(tokens, kind_of(known), tokens.faults)
    if len(tokens.faults) > noted:
        tokens.doubtful.add("")
    if not known.is_interval:
        for one in placed:
            _check_single(one.element, one.place)
    merge = known.auto_merge and not known.is_map
    return tuple(elements.arrange(placed, known.key, interval=known.is_interval, merge=merge))


def _check_single(element: Element, place: Place) -> None:
    if elements.is_wide(element.key):
        message = "You must add 'flags interval' to your set declaration if you want to add prefix elements"
        raise SyntaxFaultError(place, message)


# --- one word each ---


def _take_type(tokens: Tokens, block: SetBlock) -> None:
    key = _take_types(tokens)
    block.set = attrs.evolve(block.set, key=key)
    if not block.is_map:
        return
    tokens.expect(":")
    interval = tokens.accept("interval")
    if tokens.sees(*_OBJECTS):
        block.set = attrs.evolve(block.set, data=(of.OBJECT,), object=tokens.take().text)
    elif tokens.accept("verdict"):
        block.set = attrs.evolve(block.set, data=(of.VERDICT,))
    else:
        block.set = attrs.evolve(block.set, data=_take_types(tokens), data_interval=interval)


def _take_types(tokens: Tokens) -> tuple[DataType, ...]:
    found = [_take_one_type(tokens)]
    while tokens.accept("."):
        found.append(_take_one_type(tokens))
    return tuple(found)


def _take_one_type(tokens: Tokens) -> DataType:
    token = tokens.take_kind("word")
    known = of.NAMED.get(token.text)
    if known is None:
        raise SyntaxFaultError(token.place, f"unknown datatype {token.text}")
    return known


def _take_typeof(tokens: Tokens, block: SetBlock) -> None:
    key = expressions.take(tokens, _untold(block.family))
    block.set = attrs.evolve(block.set, key=types_of(key), key_of=key)
    if not block.is_map:
        return
    tokens.expect(":")
    interval = tokens.accept("interval")
    if tokens.accept("verdict"):
        block.set = attrs.evolve(block.set, data=(of.VERDICT,))
        return
    data = expressions.take(tokens, _untold(block.family))
    block.set = attrs.evolve(block.set, data=types_of(data), data_of=data, data_interval=interval)


def _untold(family: str) -> Scope:
    """Return a scope where nothing is known that `typeof` could contradict."""
    return Scope("inet" if family in ("bridge", "netdev") else family)


def _take_flags(tokens: Tokens, block: SetBlock) -> None:
    flags = {tokens.expect(*FLAGS).text}
    while tokens.accept(","):
        flags.add(tokens.expect(*FLAGS).text)
    _add_flags(block, flags)


def _add_flags(block: SetBlock, flags: set[str]) -> None:
    found = flags | set(block.set.flags)
    block.set = attrs.evolve(block.set, flags=tuple(flag for flag in FLAGS if flag in found))


def _take_timeout(tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, timeout=take_time(tokens))


def _take_gc(tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, gc_interval=take_time(tokens))


def _take_size(tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, size=tokens.take_number())


def _take_policy(tokens: Tokens, block: SetBlock) -> None:
    policy = tokens.expect("performance", "memory").text
    block.set = attrs.evolve(block.set, policy="" if policy == "performance" else policy)


def _take_merge(_tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, auto_merge=True)


def _take_comment(tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, comment=take_comment(tokens))


def _take_counter(tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, statements=(*block.set.statements, take_counts(tokens)))


def _take_limit(tokens: Tokens, block: SetBlock) -> None:
    block.set = attrs.evolve(block.set, statements=(*block.set.statements, take_limit(tokens)))


def _take_elements(tokens: Tokens, block: SetBlock) -> None:
    tokens.expect("=")
    block.elements_at = tokens.at
    skip_braces(tokens)


def skip_braces(tokens: Tokens) -> None:
    """Pass over what stands in braces."""
    tokens.expect("{")
    depth = 1
    while depth:
        if tokens.next.kind == "end":
            raise tokens.unexpected()
        token = tokens.take()
        if token.kind == "sign":
            depth += {"{": 1, "}": -1}.get(token.text, 0)


_READERS: Final[dict[str, Callable[[Tokens, SetBlock], None]]] = {
    "type": _take_type,
    "typeof": _take_typeof,
    "flags": _take_flags,
    "timeout": _take_timeout,
    "gc-interval": _take_gc,
    "size": _take_size,
    "policy": _take_policy,
    "auto-merge": _take_merge,
    "comment": _take_comment,
    "counter": _take_counter,
    "limit": _take_limit,
    "elements": _take_elements,
}
