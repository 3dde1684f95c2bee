# SPDX-License-Identifier: GPL-2.0-only
"""Frames and tables in the form in which two runs of one scenario can be compared.

Whatever may differ between two right runs (identifiers, initial sequence
numbers, tunnel source ports, times) is left out or replaced by a label.
"""
