# SPDX-License-Identifier: GPL-2.0-only
"""The tools that people type and that take time, or see files: one module each.

A module has `run(argv, userland) -> Program[Finished]`; `emu.apps.console` has
the table of their names.
"""
