# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a `Scenario` by what they touch: workloads, marks, containers, machines, cables.

`emu.cluster.scenario` takes them; `docs/reference/scenario-document.md` has each with its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.steps import containers, machines, marks, rollouts
from emu.cluster.steps.links import link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.cluster.editing import Deed

VERBS: Final[Mapping[str, Callable[[Sequence[str]], Deed]]] = {
    "annotate": marks.annotate,
    "fail": machines.fail,
    "kill": containers.kill,
    "link": link,
    "probe": containers.probe,
    "ready": containers.ready,
    "reboot": machines.reboot,
    "recover": machines.recover,
    "rollout": rollouts.rollout,
    "set": rollouts.set_,
    "start": machines.start,
    "stop": machines.stop,
    "taint": marks.taint,
    "unready": containers.unready,
}
"""What a step may begin with, and who reads it."""
