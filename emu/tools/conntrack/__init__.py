# SPDX-License-Identifier: GPL-2.0-only
"""What `conntrack` takes and prints, as version 1.4.7 does."""
