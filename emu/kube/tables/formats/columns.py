# SPDX-License-Identifier: GPL-2.0-only
"""Custom columns: `-o custom-columns=NAME:.metadata.name,IP:.status.podIP`.

Source: `k8s.io/kubectl/pkg/cmd/get/customcolumn.go`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError
from emu.kube.tables.formats import value as go
from emu.kube.tables.formats.jsonpath import find
from emu.kube.tables.formats.tabs import align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects.field import Json

LEAST: Final = 6  # the narrowest column of a table
PADDING: Final = 3

_RELAXED: Final = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")


def relaxed(path: str) -> str:
    """Return `{.a.b}` for any of `a.b`, `.a.b`, `{a.b}` and `{.a.b}`.

    Raises:
        CommandError: it is none of them.
    """
    found = _RELAXED.fullmatch(path)
    if found is None:
        raise CommandError(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' "
            "or '{name1.name2}' or '{.name1.name2}'",
            1,
        )
    return f"{{.{found[1] or found[2]}}}"


def render(spec: str, objects: Sequence[Json], *, headers: bool = True) -> str:
    """Return the table that `spec` asks of `objects`.

    Args:
        spec: `HEADER:PATH`, several parted by commas.
        objects: one row each.
        headers: whether there is a first line with the headers, as written.

    Raises:
        CommandError: with the words that kubectl has behind `error: `.
    """
    if not spec:
        raise CommandError("custom-columns format specified but no custom columns given", 1)
    pairs = [_column(part) for part in spec.split(",")]
    lines = ["\t".join(header for header, _ in pairs)] if headers else []
    lines += ["\t".join(_cell(path, item) for _, path in pairs) for item in objects]
    return align(lines, least=LEAST, padding=PADDING)


def _column(part: str) -> tuple[str, str]:
    header, colon, path = part.partition(":")
    if not colon:
        raise CommandError(f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>", 1)
    return header, relaxed(path) if path else ""


def _cell(path: str, item: Json) -> str:
    groups = find(path, item)
    texts = [go.plain(value).replace("\x1b", "^[") for group in groups for value in group]
    return ",".join(texts if groups and groups[0] else ["<none>", *texts])
