# SPDX-License-Identifier: GPL-2.0-only
"""NetworkPolicies: what they mean, and the rules by which nodes enforce them."""
