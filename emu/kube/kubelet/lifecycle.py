# SPDX-License-Identifier: GPL-2.0-only
"""Hooks of containers: how long a preStop hook holds SIGTERM back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emu.kube.api.objects.container import Container

_SLEEP: Final = re.compile(r"(?:^|\W)sleep +(\d+)\b")


def is_modelled(container: Container) -> bool:
    """Return whether all that the preStop hook does is to sleep."""
    return pre_stop_seconds(container) > 0


def pre_stop_seconds(container: Container) -> int:
    """Return for how many seconds the preStop hook sleeps, by `sleep` or a command; others take no time."""
    lifecycle = container.rest.get("lifecycle")
    hook = lifecycle.get("preStop") if isinstance(lifecycle, dict) else None
    if not isinstance(hook, dict):
        return 0
    sleep, execute = hook.get("sleep"), hook.get("exec")
    if isinstance(sleep, dict):
        seconds = sleep.get("seconds")
        return seconds if isinstance(seconds, int) else 0
    command = execute.get("command") if isinstance(execute, dict) else None
    found = _SLEEP.search(" ".join(map(str, command))) if isinstance(command, list) else None
    return int(found[1]) if found is not None else 0
