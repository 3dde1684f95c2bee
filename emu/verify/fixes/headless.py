# SPDX-License-Identifier: GPL-2.0-only
"""Headless Services whose pods nobody finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.verify.causes.headless import headless_service
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case


def publish_who_is_not_ready(case: Case) -> Iterator[Proposal]:
    """Have names of pods that are not ready resolve, as members need that wait for each other."""
    if case.cluster is None:
        return
    service = headless_service(case.store, case.verdict.target.point)
    if service is None or service.spec.publish_not_ready_addresses:
        return
    whose = f"svc/{service.metadata.namespace}/{service.metadata.name}"
    words = f"{whose} is headless, and names of pods that are not ready do not resolve: publish them"
    changed = attrs.evolve(service, spec=attrs.evolve(service.spec, publish_not_ready_addresses=True))
    yield Proposal(words, (Change(service, changed),))
