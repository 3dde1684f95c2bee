# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of ConfigMaps, and of all that has none of its own: its manifest, with titles for keys."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from emu.kube.api.codec import write
from emu.kube.tables.formats.value import plain

if TYPE_CHECKING:
    from emu.kube.api.objects import ConfigMap, Object
    from emu.kube.api.objects.field import Json
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World

_SHOWN_ABOVE: Final = {"name", "namespace", "labels", "annotations", "managedFields"}
_ACRONYMS: Final = {"API", "URL", "UID", "GUID"}


def config_map(page: Page, one: ConfigMap, world: World) -> None:
    """Write the description of a ConfigMap, without its events."""
    del world
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.metadata(one.metadata)
    page.line("\nData\n====")
    for key in sorted(one.data):
        page.line(f"{key}:\n----\n{one.data[key]}\n")
    page.line("\nBinaryData\n====")
    for key in sorted(one.binary_data):
        page.line(f"{key}: {_octets(one.binary_data[key])} bytes")
    page.line("")


def _octets(text: str) -> int:
    """Return how many octets a text in base64 stands for."""
    try:
        return len(base64.b64decode(text, validate=True))
    except binascii.Error:
        return len(text)


def anything(page: Page, one: Object, world: World) -> None:
    """Write an object of any kind, without its events."""
    del world
    manifest: dict[str, Json] = dict(write(one))
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.metadata(one.metadata)
    page.field("API Version", manifest.pop("apiVersion", ""))
    page.field("Kind", manifest.pop("kind", ""))
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict):
        manifest["metadata"] = {key: value for key, value in metadata.items() if key not in _SHOWN_ABOVE}
    _content(page, manifest, 0)


def _content(page: Page, content: dict[str, Json], level: int) -> None:
    for key in sorted(content):
        value = content[key]
        title = title_of(key)
        if isinstance(value, dict):
            page.line(f"{title}:", level)
            _content(page, value, level + 1)
        elif isinstance(value, list):
            page.line(f"{title}:", level)
            for item in value:
                if isinstance(item, dict):
                    _content(page, item, level + 1)
                else:
                    page.line(plain(item), level + 1)
        else:
            page.field(title, plain(value), level)


def title_of(key: str) -> str:
    """Return `Pod Selector` for `podSelector`; keys with other signs than letters stay as they are."""
    if not re.fullmatch(r"[A-Za-z-]+", key):
        return key
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|-", key)
    titles = (
        word.upper() if word.upper() in _ACRONYMS else word.title() if word.islower() else word
        for word in words
    )
    return " ".join(titles)
