# SPDX-License-Identifier: GPL-2.0-only
"""The text of `ss`: its arguments, its filters, and what it prints, as iproute2 6.1 takes and prints them."""
