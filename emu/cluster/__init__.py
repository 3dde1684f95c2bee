# SPDX-License-Identifier: GPL-2.0-only
"""Documents become machines, cables and what happens to them."""
