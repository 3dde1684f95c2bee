# SPDX-License-Identifier: GPL-2.0-only
"""What a check says, and what becomes of it when its place is known."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology.places import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kube.api.objects import Known
    from emu.verify.lint.facts import Facts


class Severity(enum.Enum):
    """How sure it is that this is not meant."""

    ERROR = "error"  # something cannot work
    WARNING = "warning"  # something does other than it seems to
    NOTE = "note"  # worth a look


@attrs.frozen
class Complaint:
    """What a check says of a field.

    Attributes:
        subject: the object it is about.
        path: of the field in it, like `$.spec.selector`.
        message: what is wrong, a sentence.
        remedy: what to do, a sentence.
    """

    subject: Subject
    path: str
    message: str
    remedy: str


@attrs.frozen
class Check:
    """A check and its name.

    Attributes:
        code: words with hyphens; they do not change.
        severity: of what it finds.
        words: what it finds, in general.
        find: what finds it.
    """

    code: str
    severity: Severity
    words: str
    find: Callable[[Facts], Iterator[Complaint]]


@attrs.frozen
class Finding:
    """A complaint with its place.

    Attributes:
        file: where the object stands.
        line: of the field, counted from 1.
        path: of the field from the top of its document.
        severity: how bad it is.
        code: of the check.
        object: as `KIND NS/NAME`.
        message: what is wrong.
        remedy: what to do.
    """

    file: str
    line: int
    path: str
    severity: Severity
    code: str
    object: str
    message: str
    remedy: str


def subject_of(obj: Known) -> Subject:
    """Return which object this is."""
    return Subject(obj.KIND, obj.metadata.namespace, obj.metadata.name)
