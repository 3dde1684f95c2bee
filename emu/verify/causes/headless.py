# SPDX-License-Identifier: GPL-2.0-only
"""Headless Services: names that lead to pods, and ports that lead nowhere."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects import Service
from emu.verify.endpoint import LITERAL

if TYPE_CHECKING:
    from emu.kube.api.store import Store
    from emu.verify.causes.cause import Cause
    from emu.verify.endpoint import Target

_REFUSING: Final = "NO_SOCKET"


def headless_service(store: Store | None, name: str) -> Service | None:
    """Return the headless Service that a name for DNS is of: `NAME.NS...`, or `POD.NAME.NS...`."""
    labels = name.rstrip(".").split(".")
    if store is None or len(labels) < 2 or LITERAL.fullmatch(name):
        return None
    for service, namespace in pairwise(labels[:3]):
        found = store.find(Service, service, namespace)
        if found is not None and found.is_headless:
            return found
    return None


def hinted(cause: Cause, store: Store | None, target: Target) -> Cause:
    """Return `cause` with a word about a port of a headless Service, which nothing translates."""
    service = headless_service(store, target.point) if cause.code == _REFUSING else None
    if service is None:
        return cause
    meta = service.metadata
    for index, port in enumerate(service.spec.ports):
        wanted = port.target_port
        if (
            port.port == target.port
            and port.protocol == target.protocol.value
            and wanted not in {None, port.port}
        ):
            whose = f"Service {meta.namespace}/{meta.name}"
            words = (
                f"{whose} is headless, so nothing translates its port {port.port} to {wanted}: {cause.words}"
            )
            return attrs.evolve(cause, words=words, object=whose, field=f"spec.ports[{index}].targetPort")
    return cause
