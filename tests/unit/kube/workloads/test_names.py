# SPDX-License-Identifier: GPL-2.0-only
"""Names that Kubernetes makes up."""

from __future__ import annotations

import random
import re

import attrs
import pytest

from emu.kube.workloads.names import fnv1a, generated, safe, template_hash
from emu.kube.workloads.percent import share
from emu.testing.control_plane import template


def test_digits_become_safe_characters() -> None:
    """0 to 9 are 4 5 6 7 8 9 b c d f."""
    assert safe(1234567890) == "56789bcdf4"


@pytest.mark.parametrize(
    ("octets", "value"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)]
)
def test_the_hash_is_fnv1a(octets: bytes, value: int) -> None:
    """The published test vectors."""
    assert fnv1a(octets) == value


def test_a_template_has_one_hash() -> None:
    """Another template has another, and so has the same after a collision."""
    one, again, other = template("web"), template("web"), template("web", "nginx:2")
    assert template_hash(one) == template_hash(again)
    assert len({template_hash(one), template_hash(other), template_hash(one, 1)}) == 3
    order = attrs.evolve(one.metadata, labels={"b": "2", "a": "1"})
    turned = attrs.evolve(one.metadata, labels={"a": "1", "b": "2"})
    assert template_hash(attrs.evolve(one, metadata=order)) == template_hash(
        attrs.evolve(one, metadata=turned)
    )


def test_generated_names_fit_a_label() -> None:
    """The base is cut, never the suffix."""
    name = generated("x" * 80, random.Random(1))
    assert len(name) == 63
    assert re.fullmatch("x{58}[bcdfghjklmnpqrstvwxz2456789]{5}", name)


@pytest.mark.parametrize(
    ("value", "total", "up", "result"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("100%", 7, False, 7), ("x", 7, True, 0)],
)
def test_percentages_are_rounded(value: int | str, total: int, *, up: bool, result: int) -> None:
    """One way or the other."""
    assert share(value, total, up=up) == result
