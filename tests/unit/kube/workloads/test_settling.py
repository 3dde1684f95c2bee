# SPDX-License-Identifier: GPL-2.0-only
"""Whatever is done to a cluster, it settles as it was asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from emu.kube.api.deletion import delete
from emu.kube.api.objects import DaemonSet, Deployment, Node, Pod, ReplicaSet, StatefulSet
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.scheduling import Taint
from emu.kube.api.objects.workload import DaemonSetSpec, StatefulSetSpec, UpdateStrategy
from emu.kube.scheduler.node_affinity import is_wanted
from emu.kube.scheduler.taints import REPELLING, untolerated
from emu.kube.workloads.pods import is_active
from emu.sim.time import SECOND
from emu.testing.control_plane import NAMESPACE, ControlPlane, deployment, template

if TYPE_CHECKING:
    from emu.kube.api.objects import Known

NAMES = st.sampled_from(["one", "two", "three"])
NODES = st.sampled_from(["b", "c", "d"])
COUNTS = st.integers(0, 5)
IMAGES = st.sampled_from(["nginx", "nginx:2", "nginx:3"])
SPECS = {"any": PodSpec(), "ssd": PodSpec(node_selector={"disk": "ssd"})}
GPU = Taint("gpu", "NoSchedule")


class Settling(RuleBasedStateMachine):
    """Makes, changes and deletes workloads and nodes; node `a` takes everything at all times."""

    @initialize(slow=st.booleans())
    def begin(self, *, slow: bool) -> None:
        """Start with one node that has what anybody may ask for."""
        self.plane = ControlPlane()
        self.plane.add_nodes("a", labels={"disk": "ssd"})
        self.plane.kubelet.start = SECOND if slow else 0

    # --- what may happen ---

    @rule(
        name=NAMES,
        replicas=COUNTS,
        image=IMAGES,
        disk=st.sampled_from(sorted(SPECS)),
        kind=st.sampled_from(["RollingUpdate", "Recreate"]),
    )
    def apply_deployment(self, name: str, replicas: int, image: str, disk: str, kind: str) -> None:
        """Make a Deployment, or change the one of that name."""
        made = deployment(name, replicas, SPECS[disk], image)
        made = attrs.evolve(made, spec=attrs.evolve(made.spec, strategy=UpdateStrategy(kind)))
        known = self.plane.store.find(Deployment, name, NAMESPACE)
        self.plane.store.put(made if known is None else attrs.evolve(known, spec=made.spec))

    @rule(replicas=COUNTS, image=IMAGES, policy=st.sampled_from(["OrderedReady", "Parallel"]))
    def apply_stateful_set(self, replicas: int, image: str, policy: str) -> None:
        """Make a StatefulSet, or change it."""
        selector, pods = LabelSelector({"app": "db"}), template("db", image)
        spec = StatefulSetSpec("db", replicas, selector, pods, policy)
        known = self.plane.store.find(StatefulSet, "db", NAMESPACE)
        made = StatefulSet(Meta(name="db", namespace=NAMESPACE), spec)
        self.plane.store.put(made if known is None else attrs.evolve(known, spec=spec))

    @rule(image=IMAGES, disk=st.sampled_from(sorted(SPECS)))
    def apply_daemon_set(self, image: str, disk: str) -> None:
        """Make a DaemonSet, or change it."""
        made = DaemonSetSpec(LabelSelector({"app": "agent"}), template("agent", image, SPECS[disk]))
        known = self.plane.store.find(DaemonSet, "agent", NAMESPACE)
        found = DaemonSet(Meta(name="agent", namespace=NAMESPACE), made)
        self.plane.store.put(found if known is None else attrs.evolve(known, spec=made))

    @rule(
        kind=st.sampled_from([Deployment, StatefulSet, DaemonSet, ReplicaSet, Pod]), number=st.integers(0, 9)
    )
    def delete_something(self, kind: type[Known], number: int) -> None:
        """Delete an object, if there is one."""
        found = self.plane.store.list(kind)
        if found:
            delete(self.plane.store, found[number % len(found)])

    @rule(name=NODES, is_tainted=st.booleans(), disk=st.sampled_from(["ssd", "hdd"]))
    def set_node(self, name: str, disk: str, *, is_tainted: bool) -> None:
        """Add a node, or change its taints and labels."""
        self.plane.add_nodes(name, taints=(GPU,) if is_tainted else (), labels={"disk": disk})

    @rule(name=NODES)
    def remove_node(self, name: str) -> None:
        """Take a node away, and its pods with it."""
        self.plane.store.delete(Node, name)
        for pod in self.plane.store.list(Pod):
            if pod.spec.node_name == name:
                delete(self.plane.store, pod, force=True)

    @rule(number=st.integers(0, 9))
    def fail_pod(self, number: int) -> None:
        """Have a pod that runs fail for good.

        None of the StatefulSet: two of those that fail while it shrinks hold it up, as in Kubernetes.
        """
        running = [
            pod
            for pod in self.plane.pods()
            if pod.status.phase == "Running" and pod.metadata.labels["app"] != "db"
        ]
        if running:
            self.plane.kubelet.finish(running[number % len(running)], "Failed")

    @rule()
    def wait(self) -> None:
        """Let it come to rest, and look again a while later: nothing changes any more."""
        self.plane.settle(20)
        before = self.plane.store.revision
        for kind in (Deployment, StatefulSet, DaemonSet, ReplicaSet):
            for each in self.plane.store.list(kind):
                self.plane.store.put(attrs.evolve(each))
        self.plane.settle(5)
        assert self.plane.store.revision == before
        self.check_replicas()

    # --- what always holds ---

    def check_replicas(self) -> None:
        """As many pods as are wanted, all of the present template and ready."""
        store = self.plane.store
        for each in (*store.list(Deployment), *store.list(StatefulSet)):
            assert isinstance(each, Deployment | StatefulSet)
            app = each.spec.selector.match_labels["app"]
            pods = self.plane.pods(app=app)
            assert len(pods) == each.spec.replicas
            assert all(pod.spec.containers == each.spec.template.spec.containers for pod in pods)
            assert all(pod.is_ready for pod in pods)
            assert (each.status.ready_replicas or 0) == each.spec.replicas
        for each in store.list(DaemonSet):
            places = self.plane.places(app="agent")
            assert isinstance(each, DaemonSet)
            assert len(places) == len(set(places))
            assert each.status.current_number_scheduled == each.status.desired_number_scheduled
            assert len(places) == each.status.desired_number_scheduled + each.status.number_misscheduled
        owners: list[Known] = [*store.list(ReplicaSet), *store.list(StatefulSet), *store.list(DaemonSet)]
        made = {each.metadata.uid for each in owners}
        for pod in store.list(Pod):
            assert pod.metadata.controller is not None
            assert pod.metadata.controller.uid in made

    @invariant()
    def nobody_is_where_it_may_not_be(self) -> None:
        """A pod that was just bound fits its node."""
        if not hasattr(self, "plane"):
            return
        seen: set[str] = getattr(self, "seen", set())
        self.plane.loop.run_until(self.plane.loop.now)
        for pod in self.plane.store.list(Pod):
            key = pod.metadata.uid
            node = self.plane.store.find(Node, pod.spec.node_name) if pod.spec.node_name else None
            if key in seen or node is None or not is_active(pod):
                continue
            seen.add(key)
            assert is_wanted(pod.spec, node)
            assert not untolerated(node.spec.taints, pod.spec.tolerations, REPELLING)
        self.seen = seen


TestSettling = Settling.TestCase
TestSettling.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
