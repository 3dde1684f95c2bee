# SPDX-License-Identifier: GPL-2.0-only
"""What may stand at a place of a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.apps import commands, console
from emu.cli.shell.session import VERBS
from emu.cluster.cluster import Cluster
from emu.cluster.points import WORKLOADS
from emu.cluster.topology.spec import STEP_VERBS
from emu.kube.api.objects import Node, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.cli.shell.session import Session
    from emu.kube.api.objects import Known

_PROGRAMS: Final = tuple(sorted({*console.TOOLS, *commands.COMMANDS}))
_KINDS: Final = (
    "pods",
    "services",
    "nodes",
    "endpointslices",
    "deployments",
    "networkpolicies",
    "events",
    "ingresses",
)
_OF_NODES: Final = frozenset(("fail", "recover", "cordon", "uncordon", "drain", "rules"))
_OF_WORKLOADS: Final = frozenset(("scale", "delete", "label", "rollout"))
_BEHIND: Final = frozenset(("exec", "--"))


def candidates(session: Session, words: Sequence[str], begun: str) -> list[str]:
    """Return what can follow `words`, of all that begins with `begun`, sorted.

    Args:
        session: whose names there are.
        words: those before the place.
        begun: what stands there so far, empty for nothing.
    """
    return sorted({each for each in _all(session, words) if each.startswith(begun)})


def _all(session: Session, words: Sequence[str]) -> Iterable[str]:
    if not words:
        verbs = STEP_VERBS if isinstance(session.emulation, Cluster) else ()
        return (*session.own, *VERBS, *verbs, *session.names.hosts())
    match words[0]:
        case "help":
            return (*session.own, *VERBS)
        case "get" | "describe":
            return _KINDS
        case "explain":
            from emu.verify.causes.codes import CODES

            return CODES
        case "record" | "capture" | "send" if words[-1] == "-i":
            return session.names.points()
        case "record":
            return () if words[-1] == "-w" else ("-i", "-w", "stop")
        case "at":
            return _all(session, words[2:]) if len(words) > 1 else ()
        case word if word in _OF_NODES:
            return _nodes(session)
        case word if word in _OF_WORKLOADS:
            return _workloads(session)
        case _ if words[-1] in _BEHIND or words[0] in VERBS:
            return (*session.names.hosts(), *_services(session))
        case _ if len(words) == 1:
            return _PROGRAMS
        case _:
            return (*session.names.hosts(), *_services(session))


def _nodes(session: Session) -> Iterator[str]:
    return _objects(session, "node", Node)


def _services(session: Session) -> Iterator[str]:
    return _objects(session, "svc", Service)


def _workloads(session: Session) -> Iterator[str]:
    for kind, word in {WORKLOADS[word]: word for word in reversed([*WORKLOADS])}.items():
        yield from _objects(session, word, kind)


def _objects(session: Session, word: str, kind: type[Known]) -> Iterator[str]:
    """Yield all objects of a kind as end points."""
    if isinstance(session.emulation, Cluster):
        for each in session.emulation.store.each(kind):
            namespace, name = each.metadata.namespace, each.metadata.name
            place = f"{namespace}/" if namespace not in {"", session.namespace} else ""
            yield f"{word}/{place}{name}"
