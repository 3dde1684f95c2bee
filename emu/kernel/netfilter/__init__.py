# SPDX-License-Identifier: GPL-2.0-only
"""Netfilter: the places on a packet's way where rules may look at it."""
