# SPDX-License-Identifier: GPL-2.0-only
"""What cells of several kinds have in common: labels, selectors, containers, addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.kube.api.objects.meta import LabelSelector, Requirement
    from emu.kube.api.objects.pod import PodSpec
    from emu.kube.api.objects.service import LoadBalancerStatus

NONE: Final = "<none>"
SHOWN: Final = 3  # of a list in one cell
ADDRESS_WIDTH: Final = 16  # signs of a load balancer's addresses in a table that is not wide

_ROLE_PREFIX: Final = "node-role.kubernetes.io/"
_ROLE: Final = "kubernetes.io/role"


def pairs(labels: Mapping[str, str] | None) -> str:
    """Return labels as `a=b,c=d`; the pairs are sorted as text, so `a.b=c` is before `a=b`.

    Source: `k8s.io/apimachinery/pkg/labels`, `Set.String`.
    """
    return ",".join(sorted(f"{key}={value}" for key, value in labels.items())) if labels else NONE


def selector(selector: LabelSelector | None) -> str:
    """Return a selector as `a=b,c in (d,e),!f`, sorted by key. Source: `FormatLabelSelector`."""
    if selector is None:
        return NONE
    texts = [(key, f"{key}={value}") for key, value in selector.match_labels.items()]
    texts += [(one.key, _requirement(one)) for one in selector.match_expressions]
    return ",".join(text for _, text in sorted(texts, key=lambda text: text[0])) or NONE


def _requirement(one: Requirement) -> str:
    values = ",".join(sorted(one.values))
    match one.operator:
        case "Exists":
            return one.key
        case "DoesNotExist":
            return f"!{one.key}"
        case "NotIn":
            return f"{one.key} notin ({values})"
        case "Gt" | "Lt":
            return f"{one.key}{'>' if one.operator == 'Gt' else '<'}{values}"
        case _:
            return f"{one.key} in ({values})"


def containers(spec: PodSpec) -> tuple[str, str]:
    """Return the names and the images of a pod's containers, each joined by commas."""
    return ",".join(one.name for one in spec.containers), ",".join(one.image for one in spec.containers)


def addresses(status: LoadBalancerStatus, *, wide: bool) -> str:
    """Return a load balancer's addresses, sorted; cut if they are long and the table is not wide."""
    text = ",".join(sorted({one.ip or one.hostname for one in status.ingress} - {""}))
    if wide or len(text) <= ADDRESS_WIDTH:
        return text
    return text[: ADDRESS_WIDTH - len("...")] + "..."


def shortened(texts: Sequence[str], count: int | None = None) -> str:
    """Return the first texts joined by commas, and how many more there are of `count`."""
    total = len(texts) if count is None else count
    more = f" + {total - SHOWN} more..." if total > SHOWN else ""
    return ",".join(texts[:SHOWN]) + more


def roles(labels: Mapping[str, str]) -> str:
    """Return the roles that a node's labels give it, sorted, joined by commas."""
    found = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    return ",".join(sorted((found | {labels.get(_ROLE, "")}) - {""})) or NONE


def host_port(host: str, port: int | str) -> str:
    """Return `HOST:PORT`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_true(conditions: Iterable[object], kind: str) -> bool:
    """Return whether a condition is True."""
    return any(
        getattr(one, "type", None) == kind and getattr(one, "status", None) == "True" for one in conditions
    )
