# SPDX-License-Identifier: GPL-2.0-only
"""`python -m emu` is the command `emu`."""

from __future__ import annotations

from emu.cli import main

if __name__ == "__main__":
    main()
