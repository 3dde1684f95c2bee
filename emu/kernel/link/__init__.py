# SPDX-License-Identifier: GPL-2.0-only
"""Devices and what is particular to each kind of them."""
