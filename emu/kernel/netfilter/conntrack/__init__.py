# SPDX-License-Identifier: GPL-2.0-only
"""Connection tracking: who talks to whom, and how far they are."""
