# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's mode nftables: a table of maps that lead to a chain for each service port."""
