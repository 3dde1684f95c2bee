# SPDX-License-Identifier: GPL-2.0-only
"""What rules do with a packet, one module for each of iptables' targets."""
