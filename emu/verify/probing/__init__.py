# SPDX-License-Identifier: GPL-2.0-only
"""Many questions at once: read, asked one after the other, answered as `emu probe` prints them."""
