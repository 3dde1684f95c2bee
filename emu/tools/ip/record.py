# SPDX-License-Identifier: GPL-2.0-only
"""One object of an answer, as text and as JSON: what is put in goes to both.

Source: iproute2 6.1, lib/json_print.c, lib/json_writer.c.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.tools.ip.options import Options

Json: TypeAlias = "bool | int | str | Literal | Sequence[Json] | Mapping[str, Json] | None"


class Literal:
    """A number of JSON that is written as it stands, like `0.00`."""

    def __init__(self, text: str) -> None:
        self.text = text


class Record:
    """The object under way.

    Attributes:
        fields: what JSON has.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Json] = {}
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """What the text has."""
        return "".join(self._text)

    def put(self, key: str, value: Json, text: str) -> None:
        """Add a field to both."""
        self.fields[key] = value
        self._text.append(text)

    def put_switch(self, key: str, *, value: bool, word: str | None = None) -> None:
        """Add a switch: true or false in JSON, `on` or `off` behind the key in the text."""
        self.put(key, value, f"{word or key} {'on' if value else 'off'} ")

    def put_number(self, key: str, value: int, word: str | None = None) -> None:
        """Add a number: behind the key in the text."""
        self.put(key, value, f"{word or key} {value} ")

    def show(self, text: str) -> None:
        """Add to the text alone."""
        self._text.append(text)

    def end(self) -> None:
        """End the line of the text without a blank."""
        self._text = [self.text.rstrip(" "), "\n"]

    def keep(self, key: str, value: Json) -> None:
        """Add to JSON alone."""
        self.fields[key] = value


def render(records: Iterable[Record], options: Options) -> str:
    """Return the answer that the `records` make."""
    if options.json:
        return dumps([record.fields for record in records], pretty=options.pretty) + "\n"
    return "".join(_one_line(record.text) if options.oneline else record.text for record in records)


def _one_line(text: str) -> str:
    return text[:-1].replace("\n", "\\") + "\n" if text else ""


def dumps(value: Json, *, pretty: bool = False, depth: int = 0) -> str:
    """Return `value` as iproute2 writes it, which has a style of its own."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence | Literal):
        return json.dumps(value)
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, Mapping):
        inner = "\n" + "    " * (depth + 1) if pretty else ""
        outer = "\n" + "    " * depth if pretty and value else ""
        space = " " if pretty else ""
        fields = ",".join(
            f"{inner}{json.dumps(key)}:{space}{dumps(item, pretty=pretty, depth=depth + 1)}"
            for key, item in value.items()
        )
        return "{" + fields + outer + "}"
    items = ",".join(dumps(item, pretty=pretty, depth=depth + 1) for item in value)
    if not pretty:
        return f"[{items}]"
    return f"[ {items} ]" if items else "[ ]"
