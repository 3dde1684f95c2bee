# SPDX-License-Identifier: GPL-2.0-only
"""nftables: rulesets as values, alive in a namespace, and walked by packets.

    datatypes, payload, expressions, statements, ruleset   what a ruleset says (frozen)
    evaluation, loads*, matching, actions*, compile        what it does to a packet
    lookup, live, changes, tables                          what changes while packets pass

Source: net/netfilter/nf_tables_api.c, nf_tables_core.c and nft_*.c.
"""
