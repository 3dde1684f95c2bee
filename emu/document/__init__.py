# SPDX-License-Identifier: GPL-2.0-only
"""YAML and JSON text to plain values that still know their lines.

What comes out are `str`, `int`, `float`, `bool`, `None`, and two containers
that *are* `dict` and `list` and know the line of each entry.
"""

from __future__ import annotations

from emu.document.builder import MAX_FAULTS
from emu.document.nodes import Document, MappingNode, Scalar, SequenceNode, Value, path_step
from emu.document.reading import MAX_OCTETS, load, parse, scan

__all__ = [
    "MAX_FAULTS",
    "MAX_OCTETS",
    "Document",
    "MappingNode",
    "Scalar",
    "SequenceNode",
    "Value",
    "load",
    "parse",
    "path_step",
    "scan",
]
