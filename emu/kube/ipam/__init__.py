# SPDX-License-Identifier: GPL-2.0-only
"""Who gets which address: pod CIDRs of nodes, ClusterIPs and node ports of Services."""
