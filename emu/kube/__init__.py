# SPDX-License-Identifier: GPL-2.0-only
"""Programs that configure: the control plane, the kubelet, kube-proxy, CNI plugins and their daemons."""
