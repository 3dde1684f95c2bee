# SPDX-License-Identifier: GPL-2.0-only
"""What is found in a manifest, as lines of text to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from emu.document import MappingNode, parse
from emu.kube.api.validation import ManifestNode, Mode, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.validation import Findings


class Check(Protocol):
    """A function from manifests to what is wrong with them."""

    def __call__(self, text: str, version: str = "1.35", mode: Mode = Mode.STRICT) -> list[str]:
        """Return `LINE PATH MESSAGE` for each fault of the manifests in `text`."""


def manifests(text: str) -> Iterator[ManifestNode]:
    """Yield the objects in a text."""
    for document in parse(text, "a.yaml"):
        assert isinstance(document.value, MappingNode)
        yield ManifestNode("a.yaml", document.value)


def found(text: str, version: str, mode: Mode) -> Findings:
    """Return all findings."""
    return validate(manifests(text), mode, version)


@pytest.fixture
def errors() -> Check:
    """The errors alone."""

    def check(text: str, version: str = "1.35", mode: Mode = Mode.STRICT) -> list[str]:
        return [f"{f.line} {f.path} {f.message}" for f in found(text, version, mode).errors]

    return check


@pytest.fixture
def warnings() -> Check:
    """The warnings of manifests without errors."""

    def check(text: str, version: str = "1.35", mode: Mode = Mode.STRICT) -> list[str]:
        findings = found(text, version, mode)
        assert findings.errors == ()
        return [f"{f.line} {f.path} {f.message}" for f in findings.warnings]

    return check
