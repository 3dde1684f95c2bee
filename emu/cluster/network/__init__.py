# SPDX-License-Identifier: GPL-2.0-only
"""The low-level network document: namespaces, cables, tables, rules and actions.

`model` and `actions` say what one holds, `reader` makes them from YAML.
"""
