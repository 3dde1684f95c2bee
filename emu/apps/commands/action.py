# SPDX-License-Identifier: GPL-2.0-only
"""A command that is read and waits to be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from emu.kernel.namespace import Namespace

Action: TypeAlias = Callable[[Namespace], str]
"""Runs in a namespace and returns what is printed."""
