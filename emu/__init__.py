# SPDX-License-Identifier: GPL-2.0-only
"""emu: a packet-level emulator of Kubernetes networking."""

from __future__ import annotations

__version__ = "0.1.0"
