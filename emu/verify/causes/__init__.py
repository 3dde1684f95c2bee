# SPDX-License-Identifier: GPL-2.0-only
"""Why a question failed, in the words of Kubernetes, from what the packets met.

The kernel's own reason for a drop comes first (`kernel`); a more specific cause
that explains it wins (`service`, `policy`, `bridge`, `conntrack`, ...). Objects of
the cluster are only looked at to say whose doing it was.
"""
