# SPDX-License-Identifier: GPL-2.0-only
"""A network document out of what the tools of real nodes printed.

`folder` finds the files; `devices`, `tables`, `routes`, `settings`, `rules_text`
and `connections` read them, and `dump` says what was read. `node` decides what
becomes of each device; `wiring` and `ways` write a node into a `draft`, `cables`,
`pods`, `underlay` and `hosts` what stands at the other ends of its cables.
`importer` does it all in order; `emu.cluster.network.document_text` makes the text.
"""
