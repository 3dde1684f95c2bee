# SPDX-License-Identifier: GPL-2.0-only
"""Manifests that many tests begin with, as text that is put behind other documents."""

from __future__ import annotations

from typing import Final

WITHOUT_DNS: Final = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  replicas: 0
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec: {containers: [{name: coredns, image: coredns}]}
"""
"""CoreDNS without pods, for clusters where nobody asks for names."""


def pod(name: str, node: str, serves: str = "", **labels: str) -> str:
    """Return a pod on `node`; where no labels are given it has `app`, with its name.

    Args:
        name: of the pod.
        node: where it is.
        serves: what it answers on, such as `tcp/8080,udp/53`; nothing by default.
        labels: of the pod.
    """
    said = ", ".join(f"{key}: {value}" for key, value in (labels or {"app": name}).items())
    notes = f', annotations: {{emu/serve: "{serves}"}}' if serves else ""
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{said}}}{notes}}}
spec: {{nodeName: {node}, containers: [{{name: c, image: nginx}}]}}
"""
