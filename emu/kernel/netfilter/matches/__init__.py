# SPDX-License-Identifier: GPL-2.0-only
"""The conditions of rules, one module for each of iptables' matches."""
