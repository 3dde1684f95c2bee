# SPDX-License-Identifier: GPL-2.0-only
"""Jobs: pods that come to an end."""
