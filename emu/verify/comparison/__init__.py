# SPDX-License-Identifier: GPL-2.0-only
"""What network providers do to the same packets, measured.

    python -m emu.verify.comparison topologies/providers > docs/reference/providers.md

runs the clusters of a folder one after the other, each with the shop that stands
beside them, sends the same packets through each, and writes what was seen at the taps.
"""
