# SPDX-License-Identifier: GPL-2.0-only
"""Which pods go first when there are too many."""

from __future__ import annotations

import attrs
import pytest

from emu.kube.api.objects import Pod
from emu.kube.api.objects.container import ContainerStatus
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.pod import PodSpec, PodStatus
from emu.kube.workloads.pods import DELETION_COST, first_to_go, is_available, until_available
from emu.sim.time import SECOND, Instant

NOW = Instant(3600 * SECOND)


def time(seconds: int) -> str:
    """Return a time so many seconds after the start."""
    return f"1970-01-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def pod(
    name: str,
    *,
    node: str = "a",
    phase: str = "Running",
    ready: int | None = 100,
    created: int = 50,
    restarts: int = 0,
    cost: str = "",
) -> Pod:
    """Return a pod whose UID is its name."""
    condition = Condition(
        "Ready", "False" if ready is None else "True", last_transition_time=time(ready or 0)
    )
    return Pod(
        Meta(
            name=name,
            uid=name,
            annotations={DELETION_COST: cost} if cost else {},
            creation_timestamp=time(created),
        ),
        PodSpec(node_name=node),
        PodStatus(
            phase, conditions=(condition,), container_statuses=(ContainerStatus("c", restart_count=restarts),)
        ),
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("z", node="", phase="Pending", ready=None), pod("a", phase="Pending", ready=None)),
        (pod("z", phase="Pending", ready=None), pod("a", ready=None)),
        (pod("z", phase="Unknown", ready=None), pod("a", ready=None)),
        (pod("z", ready=None), pod("a")),
        (pod("z", cost="-5"), pod("a")),
        (pod("z", ready=3500), pod("a", ready=100)),
        (pod("z", restarts=4), pod("a", restarts=1)),
        (pod("z", created=3590), pod("a", created=100)),
        (pod("a", created=110), pod("z", created=100)),
        (pod("a", cost="none"), pod("z")),
    ],
)
def test_the_order_is_that_of_kubernetes(first: Pod, second: Pod) -> None:
    """Those that do not serve, cost less, or are younger go first; close ages leave it to the UID."""
    for pods in ([first, second], [second, first]):
        assert first_to_go(pods, pods, NOW, 0) == [first, second]


def test_the_fuller_node_gives_first() -> None:
    """Pods of all sets of a Deployment are counted."""
    alone, crowded, sibling = pod("a", node="x"), pod("b", node="y"), pod("s", node="y")
    assert first_to_go([alone, crowded], [alone, crowded, sibling], NOW, 0) == [crowded, alone]


def test_a_pod_is_available_when_it_was_ready_long_enough() -> None:
    """Until then it says how long it takes."""
    each = pod("p", ready=3590)
    assert is_available(each, 0, NOW, 0)
    assert is_available(each, 10, NOW, 0)
    assert until_available(each, 30, NOW, 0) == 20 * SECOND
    assert until_available(pod("p", ready=None), 0, NOW, 0) is None
    unknown = attrs.evolve(each, status=attrs.evolve(each.status, conditions=(Condition("Ready", "True"),)))
    assert until_available(unknown, 10, NOW, 0) is None
