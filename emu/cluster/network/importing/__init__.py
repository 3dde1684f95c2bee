# SPDX-License-Identifier: GPL-2.0-only
"""A network document out of what the tools of real nodes printed.

`folder` finds the files and `devices`, `tables`, `settings`, `rules` and
`connections` read them; `dump` says what was read. `node` writes one node into
a `draft`, `pods` and `underlay` what stands at the other ends of its cables,
and `paper` makes the text of the document. `importer` does it all in order.
"""
