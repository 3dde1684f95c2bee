# SPDX-License-Identifier: GPL-2.0-only
"""A cause: why, where and when a question failed, and whose doing it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.verify.story import Way


@attrs.frozen
class Cause:
    """Why, where and when a question failed.

    Attributes:
        code: one of `emu.verify.causes.codes.CODES`.
        words: what happened, in words.
        way: whether the request or the reply ended.
        net: the namespace where it did.
        device: the device there, empty where none is concerned.
        fix: what would help, empty where that is not known.
        object: what caused it, as `KIND NS/NAME`; empty where that is nobody's.
        field: the path in that object, like `spec.ports[0].targetPort`; empty where it is none in particular.
        rule: the text of the rule that decided, empty where none did.
    """

    code: str
    words: str
    way: Way
    net: str
    device: str = ""
    fix: str = ""
    object: str = ""
    field: str = ""
    rule: str = ""

    @property
    def place(self) -> str:
        """Namespace and device, as capture points are called."""
        return f"{self.net}/{self.device}" if self.device else self.net
