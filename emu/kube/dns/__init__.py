# SPDX-License-Identifier: GPL-2.0-only
"""CoreDNS: its Corefile, the cluster's records, its plugins, and the server that a pod runs."""
