# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's mode userspace, as it was until Kubernetes 1.25: connections end in the proxy itself."""
