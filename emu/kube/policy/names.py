# SPDX-License-Identifier: GPL-2.0-only
"""What the chains, sets and comments of policies are called."""

from __future__ import annotations

from typing import Final

from emu.kube.proxy.names import digest

PREFIX: Final = "NETPOL-"
"""How the names of all chains and sets begin."""

ROUTED: Final = f"{PREFIX}FORWARD"
"""Where packets on their way come by."""

TO_NODE: Final = f"{PREFIX}INPUT"
"""Where packets to the node come by."""

_LONGEST_COMMENT: Final = 255
"""Octets that iptables takes."""


def pod_chain(direction: str, namespace: str, name: str) -> str:
    """Return the chain of what a pod is sent (`ingress`) or sends (`egress`)."""
    return f"{PREFIX}{'IN' if direction == 'ingress' else 'OUT'}-{digest(f'{namespace}/{name}')}"


def peers_set(canonical: str) -> str:
    """Return the set of the addresses of pods that some selectors select."""
    return f"{PREFIX}POD-{digest(canonical)}"


def block_set(canonical: str) -> str:
    """Return the set of the addresses of an ipBlock with exceptions."""
    return f"{PREFIX}NET-{digest(canonical)}"


def ports_set(name: str, protocol: str) -> str:
    """Return the set of the pods that give a port a name, each with its number."""
    return f"{PREFIX}PORT-{digest(f'{name}/{protocol}')}"


def of_rule(namespace: str, name: str, path: str) -> str:
    """Return the comment of a rule that accepts: whose it is, and where that stands in `spec`."""
    return _fitting(f"NetworkPolicy {namespace}/{name}", f" {path}")


def of_pod(namespace: str, name: str) -> str:
    """Return the comment of the way to a pod's chain."""
    return _fitting(f"Pod {namespace}/{name}", "")


def of_refusal(namespace: str, name: str, direction: str) -> str:
    """Return the comment of the rule that refuses."""
    return _fitting(f"Pod {namespace}/{name}", f": isolated for {direction}")


def _fitting(owner: str, rest: str) -> str:
    """Return both parts, the first one cut if they are too long together."""
    return owner[: _LONGEST_COMMENT - len(rest)] + rest
