# SPDX-License-Identifier: GPL-2.0-only
"""Reading on behind a fault, so that one look at a text tells all that is wrong with it.

What is faulty is passed over up to the end of its statement, braces counted.
Where that end is in doubt, reading stops: nobody is told of faults that are
none once the first is mended.

Source: nftables, src/parser_bison.y (`error` in `line`, `table_block`, `chain_block`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import CommandError
from emu.tools.nft.faults import Fault, SyntaxFaultError, UnmodelledError

if TYPE_CHECKING:
    from emu.tools.nft.tokens import Token, Tokens

MOST: Final = 100
"""Faults that are told of one text."""

ANY_NAME: Final = "*"
"""Among doubtful names: every one, as nobody knows how it is called what was passed over."""
_OUTSIDE: Final = frozenset(["table", "chain", "map", "element", "rule", "ruleset", "flowtable"])
"""What begins no rule."""


class LostError(CommandError):
    """Nobody knows where reading could go on, or enough has been told."""


def fault_of(error: SyntaxFaultError | UnmodelledError) -> Fault:
    """Return what is told of a complaint on its way."""
    if isinstance(error, UnmodelledError):
        return Fault(error.place, str(error))
    return error.fault


def note(tokens: Tokens, error: SyntaxFaultError | UnmodelledError) -> None:
    """Remember a fault.

    Raises:
        LostError: there are many already.
    """
    tokens.faults.append(fault_of(error))
    if len(tokens.faults) >= MOST:
        raise LostError("too many faults")


def pass_over(
    tokens: Tokens, begin: int, error: SyntaxFaultError | UnmodelledError, *, is_rule: bool = False
) -> None:
    """Note what is wrong with a statement, and go to its end.

    Args:
        tokens: those that are left.
        begin: where the statement begins.
        error: what is wrong.
        is_rule: nothing else can name what the statement would have made.

    Raises:
        LostError: nobody knows where its end is.
    """
    noticed, tokens.at = tokens.at, begin
    passed, is_sure = _statement(tokens, noticed)
    if not tokens.faults or all(token.kind != "junk" for token in passed):  # of junk is told already
        note(tokens, error)
    if not is_sure or not (is_rule or tokens.are_balanced):
        raise LostError("the end of a statement is in doubt")
    tokens.doubtful.update([""] if is_rule else [token.text for token in passed])
    if not is_rule and str(error).endswith("expecting string"):
        tokens.doubtful.add(ANY_NAME)


def _statement(tokens: Tokens, noticed: int) -> tuple[list[Token], bool]:
    """Take a statement; return it, and whether it surely ends there.

    Where a brace is missing or too many somewhere, what has a brace at its end
    or begins like a command shows that this may be the place.
    """
    depth, has_braces = 0, False
    passed: list[Token] = []
    while tokens.next.kind != "end":
        is_closed = tokens.sees("}") and depth == 0
        is_over = depth == 0 and (tokens.next.kind == "newline" or tokens.sees(";") or is_closed)
        if is_over and tokens.at >= noticed:
            break
        if is_closed:
            return passed, False
        has_braces = has_braces or tokens.sees("{")
        depth += tokens.sees("{") - tokens.sees("}")
        passed.append(tokens.take())
    if tokens.are_balanced:
        return passed, depth == 0
    begins_other = any(token.text in _OUTSIDE for token in passed[:2])
    return passed, not (has_braces or begins_other or tokens.sees("}"))
