# SPDX-License-Identifier: GPL-2.0-only
"""Who reaches whom: every source, every target, every port that is asked."""
