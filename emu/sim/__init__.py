# SPDX-License-Identifier: GPL-2.0-only
"""Virtual time, events in order, and chance that a seed decides."""
