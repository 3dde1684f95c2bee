# SPDX-License-Identifier: GPL-2.0-only
"""A cluster that lives: machines, a control plane, and pods that talk.

Everything happens on the one virtual clock: the API server keeps objects,
controllers and daemons follow them, frames cross the cables.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from emu.apps.tools.finished import Finished
from emu.cluster import editing, scenario
from emu.cluster.control_plane import ControlPlane
from emu.cluster.convergence import is_settled
from emu.cluster.emulation import Emulation, Host
from emu.cluster.garbage import garbage_kept
from emu.cluster.points import DEFAULT_NAMESPACE, find_object, is_between, names_of, parse_point, pods_of
from emu.cluster.timeline.story import Story, Traffic
from emu.cluster.underlay import is_underlay
from emu.errors import DocumentError, UnknownNameError
from emu.fabric.driver import Fabric
from emu.fabric.userland import Userland
from emu.kube.api import codec
from emu.kube.api.objects import Pod
from emu.kube.api.scope import with_namespace
from emu.kube.controller import Key
from emu.observe.recording import Recording
from emu.sim.time import EPOCH, SECOND, Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.timeline.packets import PacketWatch
    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.cluster.topology import Topology
    from emu.cluster.topology.spec import StepSpec
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.kube.api.objects import Known, Object
    from emu.wire.addresses import IpAddress

_SETTLE_LIMIT: Final[Duration] = 120 * SECOND


class Cluster(Emulation):
    """A cluster.

    Attributes:
        topology: what it was made from.
        store: its API server.
        machines: the nodes, by name.
        kubelets: what runs the pods.
        proxies: what writes the rules of Services; without any in the mode `none`.
        warnings: what was taken in another way than it was said, a line each.
        story: what happened while steps were taken; None before any.
    """

    is_cluster = True

    def __init__(self, topology: Topology, *, seed: int | None = None, epoch: int = EPOCH) -> None:
        """Build it, and let it come to rest.

        Raises:
            DocumentError: an API server would refuse objects; all are told.
        """
        fabric = Fabric(seed=topology.cluster.seed if seed is None else seed)
        super().__init__(fabric, Recording(), epoch=epoch)
        self.topology = topology
        self.story: Story | None = None
        self._traffic: Traffic | None = None
        self.control_plane = plane = ControlPlane(fabric, topology, epoch)
        self.store, self.writer, self.warnings = plane.store, plane.writer, plane.warnings
        self.machines, self.kubelets, self.proxies = plane.machines, plane.kubelets, plane.proxies
        self.userlands.update(plane.userlands)
        with garbage_kept():
            plane.start()
            self.settle_down()
        self.warnings += plane.ingresses.unserved()
        fabric.record(self.recording)

    def _rebuilt(self) -> Cluster:
        return type(self)(self.topology, seed=self.fabric.streams.seed, epoch=self.epoch)

    def again_as(self, topology: Topology) -> Cluster:
        """Return the same once more, as `topology` says: what people have done since is done again, too.

        Raises:
            DocumentError: an API server would refuse objects; all are told.
            StormError: frames go round in circles.
        """
        made = type(self)(topology, seed=self.fabric.streams.seed, epoch=self.epoch)
        for do in self._history:
            do(made)
        return made

    # --- time ---

    def settle_down(self, limit: Duration = _SETTLE_LIMIT) -> None:
        """Let time pass until every pod runs, or cannot, and all rules are written; `limit` ns at most.

        Raises:
            StormError: frames go round in circles.
        """
        loop = self.fabric.loop
        loop.replenish()
        end = later(loop.now, limit)
        while True:
            due = loop.next_instant
            if due is None or due > end:
                return
            if due > loop.now and self.is_settled:
                return
            loop.run_until(due)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be expected of the control plane without a cause from outside."""
        return is_settled(self)

    def take(self, step: StepSpec) -> Finished:
        """Wait until it is time for a step, take it, and return what it printed.

        What it leads to takes its time, which later steps give it or not.

        Raises:
            StormError: frames go round in circles.
        """
        self.wait_until(Instant(max(self.fabric.loop.now, step.at)))
        return self.do(step.words, settle=False, given=editing.Given(step.objects, step.sources))

    def take_all(
        self,
        steps: Sequence[StepSpec],
        traffic: Sequence[TrafficSpec] = (),
        until: Duration | None = None,
        race: Race | None = None,
    ) -> Iterator[tuple[StepSpec, Finished]]:
        """Take steps, and yield each with what it printed; then let what the last ones changed come to rest.

        Who wants to see the middle of a change takes a step that only looks, at a later instant.
        All that happens meanwhile is kept in `story`.

        Args:
            steps: in the order of their times.
            traffic: who asks meanwhile.
            until: when it is over at the earliest; None for the end of the last step, or of the traffic.
            race: which packets overtake each other meanwhile.

        Raises:
            StormError: frames go round in circles.
        """
        story = self.story = Story(self)
        with story.told(traffic, until, race):
            for step in steps:
                self.wait_until(Instant(max(self.fabric.loop.now, step.at)))
                now = self.fabric.loop.now
                finished = self.take(step)
                story.take(step, now, finished)
                yield step, finished
            if any(step.at == steps[-1].at and step.words[0] not in scenario.LOOKING for step in steps):
                self.remember(lambda other: other.settle_down() if isinstance(other, Cluster) else None)
                self.settle_down()

    def play(self) -> Iterator[tuple[StepSpec, Finished]]:
        """Do all that the input's scenarios say, as `take_all` does.

        Raises:
            StormError: frames go round in circles.
        """
        given = self.topology
        yield from self.take_all(given.steps, given.traffic, given.until, given.race)

    def begin_traffic(
        self, specs: Sequence[TrafficSpec], until: Duration | None, packets: PacketWatch | None = None
    ) -> Traffic:
        """Have clients ask from now on, each from its time to its time, `until` at the latest."""
        self.remember(lambda other: other.begin_traffic(specs, until) if isinstance(other, Cluster) else None)
        traffic = self._traffic = Traffic(self, specs, packets)
        traffic.begin(None if until is None else Instant(until))
        return traffic

    def let_race(self, race: Race | None) -> None:
        """Let packets overtake each other from now on; None for no longer."""
        self.remember(lambda other: other.let_race(race) if isinstance(other, Cluster) else None)
        self.fabric.let_race(race)

    def stop_asking(self) -> None:
        """Have clients begin nothing more; what is under way goes on."""
        self.remember(lambda other: other.stop_asking() if isinstance(other, Cluster) else None)
        if self._traffic is not None:
            self._traffic.stop_asking()

    def end_traffic(self) -> None:
        """Stop all clients."""
        self.remember(lambda other: other.end_traffic() if isinstance(other, Cluster) else None)
        if self._traffic is not None:
            self._traffic.end()
            self._traffic = None

    def do(
        self, words: str | Sequence[str], *, settle: bool = True, given: editing.Given | None = None
    ) -> Finished:
        """Do what a step of a `Scenario` may say, and return what it printed.

        Args:
            words: the step, as a line or its words.
            settle: let time pass until things have settled.
            given: the objects of the files that `words` name; None to read them.

        Raises:
            StormError: frames go round in circles.
        """
        words = shlex.split(words) if isinstance(words, str) else words
        try:
            given = editing.read_given(words) if given is None else given
        except DocumentError as error:
            return Finished("", f"{error}\n", 1)
        finished = scenario.perform(self, words, given)
        if words[0] not in scenario.LOOKING:
            again = tuple(words)
            self.remember(
                lambda other: (
                    other.do(again, settle=settle, given=given) if isinstance(other, Cluster) else None
                )
            )
        if settle:
            self.settle_down()
        return finished

    # --- objects ---

    def kubectl(self, verb: Literal["get", "describe"], words: Sequence[str]) -> Finished:
        """Return what `kubectl get` or `kubectl describe` prints.

        Raises:
            CommandError: the words make no sense to it.
        """
        from emu.kube.tables import command  # noqa: PLC0415 - most runs print no tables

        now = self.epoch + self.fabric.loop.now
        return command.run(verb, words, self.store, now=now, version=self.topology.cluster.kubernetes)

    def apply(self, *manifests: Object | Mapping[str, Any]) -> None:
        """Write objects to the API server, as `kubectl apply` does, and let things settle.

        Args:
            manifests: objects, or manifests as mappings.

        Raises:
            ManifestError: a manifest is not what its kind has to be.
            DocumentError: some are refused; nothing of them is written then.
            StormError: frames go round in circles.
        """
        objects = [
            with_namespace(codec.read(each)) if isinstance(each, Mapping) else each for each in manifests
        ]
        self.remember(lambda other: other.apply(*objects) if isinstance(other, Cluster) else None)
        self.writer.apply(objects)
        self.settle_down()

    def find(self, text: str, namespace: str = DEFAULT_NAMESPACE) -> Known:
        """Return the object that `text` names: `POD`, `KIND/[NS/]NAME`.

        Raises:
            EndPointError: it has no such form.
            UnknownNameError: there is none.
        """
        return find_object(self.store, parse_point(text, namespace))

    # --- who is there ---

    def owners(self, net: str) -> tuple[str | None, str | None]:
        """Return the pod (as `NS/NAME`) and the node that network namespace `net` belongs to, or None."""
        kind, _, name = net.partition("/")
        if kind == "node":
            return None, name
        namespace, _, pod_name = net.removeprefix("pod/").partition("/")
        pod = self.store.find(Pod, pod_name, namespace)
        return (None, None) if pod is None else (f"{namespace}/{pod_name}", pod.spec.node_name)

    def names(self) -> dict[IpAddress, str]:
        """Return whose each address is, as captures show it: `web-0.default.pod`, `web.default.svc`."""
        return names_of(self.store, super().names())

    def point(self, pattern: str, namespace: str) -> str:
        """Return a pattern of capture points with `namespace` for a pod's name that has none."""
        owner, slash, device = pattern.rpartition("/")
        if not slash or "*" in owner or owner in self.fabric.namespaces:
            return pattern
        return f"{self.host(owner, namespace=namespace).net.name}/{device}"

    def hold_still(self) -> None:
        """Let kubelets ask and restart nothing from now on, so that nobody speaks but who is asked to."""
        for kubelet in self.kubelets.by_node.values():
            kubelet.hold_still()
        self.control_plane.balancers.hold_still()

    def points(self, pattern: str = "any") -> list[tuple[str, str]]:
        """Return the capture points that `pattern` means: `any`, or `OWNER/DEVICE` with `*` in the device.

        Raises:
            EndPointError: OWNER is no end point.
            UnknownNameError: it means none.
        """
        owner, slash, device = pattern.rpartition("/")
        if slash and "*" not in owner and owner not in self.fabric.namespaces:
            pattern = f"{self.namespace(owner).net.name}/{device}"
        return super().points(pattern)

    def pod(self, name: str) -> Host:
        """Return a pod, by `NAME` (of the namespace default) or `NS/NAME`, to do things in.

        Raises:
            UnknownNameError: there is none, or it does not run.
        """
        return self.host(f"pod/{name}")

    def node(self, name: str) -> Host:
        """Return a node, to do things in.

        Raises:
            UnknownNameError: there is none.
        """
        return self.host(f"node/{name}")

    def external(self, name: str) -> Host:
        """Return a host outside, to do things in.

        Raises:
            UnknownNameError: there is none.
        """
        return self.host(f"ext/{name}")

    def host(self, text: str, *, namespace: str = DEFAULT_NAMESPACE, container: str = "") -> Host:
        """Return whom `text` means (see `emu.cluster.points`), to do things in; of several pods the first.

        Args:
            text: an end point that programs run in.
            namespace: of names without one.
            container: of a pod; the first one where it is left out.

        Raises:
            EndPointError: it is no end point.
            UnknownNameError: there is no such, or it does not run.
        """
        point = parse_point(text, namespace)
        if point.kind == "node":
            machine = self.control_plane.machine(point.name)
            return Host(self, machine.net, machine.userland)
        if point.kind == "ext" or is_between(self.store, self.fabric.namespaces, text, point):
            return super().namespace(f"ext/{point.name}" if point.kind == "ext" else text)
        if point.kind == "svc":
            raise UnknownNameError(f"{point}: nothing runs in a Service; name one of its pods")
        found = pods_of(self.store, point)
        if not found:
            raise UnknownNameError(f"{point} has no pods")
        return self._container(found[0], container)

    def namespace(self, name: str) -> Host:
        """Return whom `name` means, or the network namespace that is called so.

        Raises:
            EndPointError: it is no end point.
            UnknownNameError: there is no such, or it does not run.
        """
        if name in self.fabric.namespaces and is_underlay(name):
            return super().namespace(name)
        return self.host(name)

    def _container(self, pod: Pod, container: str) -> Host:
        meta = pod.metadata
        kubelet = self.kubelets.by_node.get(pod.spec.node_name)
        run = kubelet.pods.get(Key(meta.namespace, meta.name)) if kubelet is not None else None
        if run is None or run.net is None:
            raise UnknownNameError(
                f"pod {meta.namespace}/{meta.name} has no network: it is {pod.status.phase}"
            )
        mains = [each for each in run.containers if not each.is_init] + [
            each for each in run.containers if each.is_init
        ]
        found = [each for each in mains if each.spec.name == (container or each.spec.name)]
        if not found:
            known = ", ".join(each.spec.name for each in mains)
            raise UnknownNameError(f"pod {meta.name} has no container {container} (there are {known})")
        return Host(self, run.net, found[0].userland or Userland(meta.name))
