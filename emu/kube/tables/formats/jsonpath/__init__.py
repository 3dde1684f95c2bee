# SPDX-License-Identifier: GPL-2.0-only
"""kubectl's jsonpath templates: `{range .items[*]}{.metadata.name} {end}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import CommandError
from emu.kube.tables.formats import value as go
from emu.kube.tables.formats.jsonpath.evaluate import Search
from emu.kube.tables.formats.jsonpath.parser import parse

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json

__all__ = ["find", "render"]


def find(path: str, value: Json) -> list[list[Json]]:
    """Return what each piece of the template `path` finds in `value`.

    Raises:
        CommandError: the template is wrong, or asks what `value` cannot answer.
    """
    return list(Search(value).groups(parse(path), value))


def render(template: str, value: Json, *, as_json: bool = False) -> str:
    """Return what `-o jsonpath=TEMPLATE` prints of `value`, no newline at its end.

    Args:
        template: text with actions in braces.
        value: one object, or a list of kind List.
        as_json: print what each piece finds as a JSON list (`jsonpath-as-json`).

    Raises:
        CommandError: with the words that kubectl has behind `error: `.
    """
    if not template:
        raise CommandError("template format specified but no template given", 1)
    try:
        pieces = parse(template)
    except CommandError as error:
        raise CommandError(f"error parsing jsonpath {template}, {error}", 1) from None
    search = Search(value)
    texts = []
    try:
        for group in search.groups(pieces, value):
            search.spend(sum(map(go.size, group)))
            texts.append(go.indented(group) + "\n" if as_json else " ".join(map(_text, group)))
    except CommandError as error:
        raise CommandError(_failure(template, value, error), 1) from None
    return "".join(texts)


def _text(value: Json) -> str:
    if isinstance(value, dict | list):
        return go.compact(value)
    return "null" if value is None else go.plain(value)


def _failure(template: str, value: Json, error: CommandError) -> str:
    """Return kubectl's complaint, which shows the template and the object."""
    return (
        f"error executing jsonpath {go.quoted(template)}: Error executing template: {error}. "
        "Printing more information for debugging the template:\n"
        f"\ttemplate was:\n\t\t{template}\n"
        f"\tobject given to jsonpath engine was:\n\t\t{go.syntax(value)}\n\n"
    )
