# SPDX-License-Identifier: GPL-2.0-only
"""Questions about a network, answered by packets: what happens, on which branch, how likely, and why."""
