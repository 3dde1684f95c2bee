# SPDX-License-Identifier: GPL-2.0-only
"""Names that do not resolve: which Service was probably meant, and why it has no address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import did_you_mean
from emu.kube.api.objects import Service

if TYPE_CHECKING:
    from emu.kube.api.store import Store
    from emu.verify.causes.cause import Cause

_SVC: Final = "svc"


def hinted(cause: Cause, store: Store | None, name: str, namespace: str) -> Cause:
    """Return `cause` with a word about the Service that a name may have meant.

    Args:
        cause: why the name has no address.
        store: the objects of a cluster, None of a network.
        name: as it was asked for.
        namespace: the asker's, where names without one are looked for; empty outside of pods.
    """
    if store is None:
        return cause
    first, _, rest = name.rstrip(".").partition(".")
    place, _, kind = rest.partition(".")
    if kind.partition(".")[0] not in {"", _SVC}:
        return cause
    place = place or namespace
    here = store.find(Service, first, place)
    if here is not None:
        whose = f"Service {place}/{first}"
        if not here.is_headless:
            return attrs.evolve(cause, object=whose)
        words = f"{cause.words}: {whose} is headless, and none of its endpoints is ready"
        return attrs.evolve(cause, words=words, object=whose, field="spec.selector")
    others = [each.metadata.namespace for each in store.each(Service) if each.metadata.name == first]
    if others:
        words = f"{cause.words}: Service {first} is in namespace {others[0]}"
        fix = f"ask for {first}.{others[0]}"
        return attrs.evolve(
            cause, words=words, fix=fix, object=f"Service {others[0]}/{first}", field="metadata"
        )
    names = [each.metadata.name for each in store.list(Service, place)]
    return attrs.evolve(cause, words=cause.words + did_you_mean(first, names))
