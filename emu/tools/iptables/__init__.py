# SPDX-License-Identifier: GPL-2.0-only
"""The text of iptables: rules as `iptables-save` writes and `iptables-restore` reads them.

What a match or a target says about itself is in `emu.tools.iptables.extensions`.
"""
