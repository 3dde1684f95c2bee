# SPDX-License-Identifier: GPL-2.0-only
"""JSON values, and how Go's `fmt` and `encoding/json` print them.

kubectl prints with Go's verbs wherever it has no format of its own, so a map in
a custom column is `map[a:1]`, and an error shows its object with `%#v`.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json

_ESCAPED: Final = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_FOR_HTML: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def size(value: Json) -> int:
    """Return how many values there are in `value`, itself included."""
    count = 0
    pending = [value]
    while pending:
        inner = pending.pop()
        count += 1
        if isinstance(inner, dict):
            pending.extend(inner.values())
        elif isinstance(inner, list):
            pending.extend(inner)
    return count


def children(value: Json) -> list[Json]:
    """Return what is directly in a map (by key) or list, nothing for all else."""
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return value if isinstance(value, list) else []


def plain(value: Json) -> str:
    """Return `value` as `%v` prints it; maps are sorted by key."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{plain(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(plain(item) for item in value)}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """Return a float as `%v` prints it: the shortest digits, exponents from 1e+21."""
    if not math.isfinite(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    text = repr(value).removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    if exponent and -5 < int(exponent) < 21:
        return f"{value:.0f}" if int(exponent) > 0 else f"{value:f}"
    return f"{mantissa}e{int(exponent):+03d}" if exponent else text


def quoted(text: str) -> str:
    """Return `text` as `%q` prints it."""
    signs = []
    for sign in text:
        if sign in '"\\':
            signs.append("\\" + sign)
        elif sign in _ESCAPED:
            signs.append(_ESCAPED[sign])
        elif sign.isprintable():
            signs.append(sign)
        elif ord(sign) < 0x80:
            signs.append(f"\\x{ord(sign):02x}")
        else:
            signs.append(f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}")
    return f'"{"".join(signs)}"'


def syntax(value: Json) -> str:
    """Return `value` as `%#v` prints it."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{quoted(key)}:{syntax(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{pairs}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(syntax(item) for item in value)}}}"
    if value is None:
        return "interface {}(nil)"
    return quoted(value) if isinstance(value, str) else plain(value)


def kind(value: Json) -> str:
    """Return the Go type that a decoded `value` has."""
    if isinstance(value, bool):  # before int, of which it is one
        return "bool"
    names = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", int: "int64"}
    return names.get(type(value), "float64")


def compact(value: Json) -> str:
    """Return `value` as Go's `json.Marshal` writes it: sorted, and safe inside HTML."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.translate(_FOR_HTML)


def indented(value: Json) -> str:
    """Return `value` as Go's `json.MarshalIndent` writes it, four blanks a level."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=4).translate(_FOR_HTML)
