# SPDX-License-Identifier: GPL-2.0-only
"""A network document out of a network that lives, be it a cluster's or a document's own.

`names` calls the namespaces; `devices`, `settings`, `rules_text` and `servers`
write what the format has tables for. A `trial` then builds that much, and
`setup_commands` and `ways` compare it with the original: what is still missing becomes a command,
as an action, and what no command enters is told by name. `exporter` does it all.
"""
