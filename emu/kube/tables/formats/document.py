# SPDX-License-Identifier: GPL-2.0-only
"""Whole objects: `-o json`, `-o yaml`, `-o name`, and the List around several.

YAML is written by PyYAML's emitter with the choices of `sigs.k8s.io/yaml`: text
of several lines as a block, text that would be read as something else in double
quotes, keys in an order that sorts digits as numbers.
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING, Final

import yaml

from emu.kube.tables.formats.value import indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects.field import Json

_GO_NUMBER: Final = re.compile(
    r"[-+]?(0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*"
    r"|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)"
)
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_GO_WORDS: Final = re.compile(
    r"[yY]|yes|Yes|YES|on|On|ON|true|True|TRUE|[nN]|no|No|NO|off|Off|OFF|false|False|FALSE"
    r"|null|Null|NULL|~|<<|\.(nan|NaN|NAN)|[-+]?\.(inf|Inf|INF)"
)
_TEXT: Final = "tag:yaml.org,2002:str"
_INDICATOR: Final = "tag:yaml.org,2002:yaml"  # a lone `*`, `&` or `!`, which the emitter itself quotes


def several(items: Sequence[Json]) -> Json:
    """Return the List in which kubectl puts several objects."""
    return {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {"resourceVersion": ""}}


def json_text(value: Json) -> str:
    """Return what `-o json` prints."""
    return indented(value) + "\n"


def yaml_text(value: Json) -> str:
    """Return what `-o yaml` prints."""
    return yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=80)


def name(item: Json) -> str:
    """Return what `-o name` prints of an object with apiVersion, kind and name: `deployment.apps/web`."""
    assert isinstance(item, dict)
    metadata = item.get("metadata")
    group, slash, _ = str(item.get("apiVersion", "")).partition("/")
    kind = str(item.get("kind", "")).lower() + (f".{group}" if slash else "")
    return f"{kind}/{metadata.get('name', '') if isinstance(metadata, dict) else ''}"


def without_managed_fields(item: Json) -> Json:
    """Return an object as json and yaml show it: who set which field is left out."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(metadata, dict) or "managedFields" not in metadata:
        return item
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**item, "metadata": kept}


class _Dumper(yaml.CSafeDumper):
    """Chooses styles and order as Go's emitter does."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that equal values are written twice."""
        del data
        return True


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return dumper.represent_scalar(_TEXT, text, style="|")
    return dumper.represent_scalar(_TEXT, text, style='"' if _reads_as_other(text) else None)


def _map_node(dumper: _Dumper, items: dict[str, Json]) -> yaml.MappingNode:
    pairs = sorted(items.items(), key=lambda pair: _BY_KEY(pair[0]))
    return dumper.represent_mapping("tag:yaml.org,2002:map", pairs)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(dict, _map_node)
_Dumper.add_multi_representer(dict, _map_node)  # what was read from a file knows its lines
_Dumper.add_multi_representer(list, yaml.CSafeDumper.represent_list)


def _reads_as_other(text: str) -> bool:
    """Return whether `text` without quotes would be no text, to Go or to PyYAML."""
    if not text or _GO_WORDS.fullmatch(text) or _GO_NUMBER.fullmatch(text) or _BASE_60.fullmatch(text):
        return True
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], []):
        if tag not in {_TEXT, _INDICATOR} and pattern.match(text):
            return True
    return False


def _key_order(left: str, right: str) -> int:
    """Compare two keys: letters behind other signs, runs of digits as numbers. Source: yaml.v2 `keyList`."""
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if one == other:
            continue
        if one.isalpha() and other.isalpha():
            return ord(one) - ord(other)
        if one.isalpha() or other.isalpha():
            return -1 if other.isalpha() else 1
        return _number_order(left, right, at) or ord(one) - ord(other)
    return len(left) - len(right)


def _number_order(left: str, right: str, at: int) -> int:
    """Compare the numbers that begin, or go on, at a place; 0 if they are alike."""
    lead = ""
    if "0" in {left[at], right[at]}:
        digits = re.search(r"[0-9]*\Z", left[:at])
        lead = "1" if digits and digits[0].strip("0") else ""
    runs = [lead + _digits(text, at) for text in (left, right)]
    one, other = (run.lstrip("0") for run in runs)
    if (len(one), one) != (len(other), other):
        return -1 if (len(one), one) < (len(other), other) else 1
    return len(runs[0]) - len(runs[1])


def _digits(text: str, at: int) -> str:
    found = re.compile(r"[0-9]*").match(text, at)
    return found[0] if found else ""


_BY_KEY: Final = cmp_to_key(_key_order)
