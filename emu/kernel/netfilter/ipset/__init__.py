# SPDX-License-Identifier: GPL-2.0-only
"""ipsets: tables of addresses, networks, ports and interfaces that rules ask by name.

Source: net/netfilter/ipset.
"""
