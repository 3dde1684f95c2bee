# SPDX-License-Identifier: GPL-2.0-only
"""Names that Kubernetes makes up: suffixes and template hashes.

A template's hash is FNV-1a as in Kubernetes, but of the template as emu writes
it, not of a dump of Go's structures: it looks the same, is stable, and equals
no real cluster's.

Source: staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go,
pkg/controller/controller_utils.go `ComputeHash`,
staging/src/k8s.io/apiserver/pkg/storage/names/generate.go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.codec import write_part

if TYPE_CHECKING:
    import random

    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.pod import PodTemplateSpec

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What suffixes are made of: no vowels, so no words; no 0, 1, 3, which look like letters."""

SUFFIX: Final = 5
MAX_GENERATED: Final = 63
MAX_NAME: Final = 253

_OFFSET: Final = 2_166_136_261
_PRIME: Final = 16_777_619
_WORD: Final = 0xFFFFFFFF


def suffix(stream: random.Random) -> str:
    """Return five characters drawn from `stream`."""
    return "".join([ALPHABET[stream.randrange(len(ALPHABET))] for _ in range(SUFFIX)])


def generated(base: str, stream: random.Random) -> str:
    """Return the name that the API server gives to what has the generateName `base`."""
    return base[: MAX_GENERATED - SUFFIX] + suffix(stream)


def safe(number: int) -> str:
    """Return `number` in decimal with each digit replaced by a character of the alphabet.

    The digits 0 to 9 become 4 5 6 7 8 9 b c d f.
    """
    return "".join([ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number)])


def fnv1a(octets: bytes) -> int:
    """Return the 32-bit FNV-1a hash of `octets`."""
    found = _OFFSET
    for octet in octets:
        found = (found ^ octet) * _PRIME & _WORD
    return found


def template_hash(template: PodTemplateSpec, collisions: int | None = None) -> str:
    """Return the hash that stands for `template` in names and labels.

    Args:
        template: of a workload; its own hash label, if it has one, does not count.
        collisions: how often the name was taken by another template, None for never.
    """
    text = json.dumps(write_part(template), sort_keys=True, separators=(",", ":"))
    return safe(fnv1a(text.encode() + (b"" if collisions is None else collisions.to_bytes(8, "little"))))


def without(labels: Labels, key: str) -> Labels:
    """Return `labels` without one of them."""
    return {name: value for name, value in labels.items() if name != key} if key in labels else labels


def with_labels(template: PodTemplateSpec, labels: Labels) -> PodTemplateSpec:
    """Return `template` with these labels in the place of its own."""
    return attrs.evolve(template, metadata=attrs.evolve(template.metadata, labels=labels))
