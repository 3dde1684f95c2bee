# SPDX-License-Identifier: GPL-2.0-only
"""The text of `bridge`: its arguments, and what it prints, as iproute2 6.1 takes and prints them."""
