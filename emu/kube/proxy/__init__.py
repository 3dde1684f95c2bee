# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy: Services become rules on every node."""
