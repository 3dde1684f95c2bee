# SPDX-License-Identifier: GPL-2.0-only
"""DaemonSets: a pod on every node that takes it."""
