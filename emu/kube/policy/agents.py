# SPDX-License-Identifier: GPL-2.0-only
"""Policy agents at work: on each node one, all with the same eye on the store.

        store --changes--> Agents --snapshot, once for all--> Decision --each node's part--> its kernel

A change is worked out at the instant at which it happens, behind what else
happens then. A node learns the address of a new pod from its own runtime, before
the pod's first program starts: no packet of it is ahead of its policies. Once a minute
each agent looks whether its rules are still there.

No rule is written while there is no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.kube.policy.iptables import Decision
from emu.kube.policy.load import is_intact, load
from emu.kube.policy.names import pod_chain
from emu.kube.policy.snapshot import Snapshot, view_of
from emu.kube.policy.wanted import Wanted
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from emu.kube.api.store import Change, Store
    from emu.kube.kubelet.machine import Machine
    from emu.kube.policy.enforcer import Enforcer
    from emu.kube.policy.settings import Settings
    from emu.kube.policy.snapshot import PodView
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress

_PERIOD: Final[Duration] = 60 * SECOND


class Agents:
    """The policy agents of all nodes of a cluster.

    Args:
        store: where policies, pods and namespaces are.
        enforcer: who they are: at which hooks they judge.
        settings: how what is left open is settled.

    Attributes:
        enforcer: see above.
        settings: see above.
        wanted: what each node has, by name.
    """

    def __init__(self, store: Store, enforcer: Enforcer, settings: Settings) -> None:
        self.enforcer = enforcer
        self.wanted: dict[str, Wanted] = {}
        self._store = store
        self.settings = settings
        self._machines: dict[str, Machine] = {}
        self._pods: dict[tuple[str, str], PodView] = {}
        self._by_address: dict[str, PodView] = {}  # made when it is asked for
        self._early: dict[str, str] = {}  # addresses that the API does not know yet, by UID
        self._is_waking = False
        self._is_looking_after = False
        for pod in store.each(Pod):
            self._see(pod)
        store.watch(NetworkPolicy, self._policy_changed)
        store.watch(Namespace, self._policy_changed)
        store.watch(Pod, self._pod_changed)

    def start(self, machine: Machine) -> None:
        """Start the agent of a node: packets come by, and rules are written as there are policies."""
        self._machines[machine.name] = machine
        self._allow(machine)
        self._wake()

    def forget(self, node: str) -> None:
        """Take what was written on a node as gone, with all that its kernel knew."""
        self.wanted.pop(node, None)

    def attached(self, pod: Pod, address: IpAddress) -> None:
        """Learn from a node's runtime that a pod has an address, and that its containers start now."""
        self._early[pod.metadata.uid] = str(address)
        if self._see(pod):
            self._wake()

    # --- what others may ask ---

    def pod_at(self, address: str) -> PodView | None:
        """Return the pod with a network of its own that has an address, None if there is none."""
        if not self._by_address:
            self._by_address = {
                each.address: each for each in self._pods.values() if not each.is_host_network
            }
        return self._by_address.get(address)

    def isolates(self, pod: PodView, direction: str) -> bool:
        """Return whether a pod is isolated for `ingress` or `egress`."""
        wanted = self.wanted.get(pod.node)
        chain = pod_chain(direction, pod.namespace, pod.name)
        return wanted is not None and any(each.name == chain for each in wanted.chains)

    # --- changes ---

    def _policy_changed(self, _: Change) -> None:
        self._wake()

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        assert isinstance(pod, Pod)
        if change.new is None:
            self._early.pop(pod.metadata.uid, None)
            if self._pods.pop((pod.metadata.namespace, pod.metadata.name), None) is not None:
                self._by_address = {}
                self._wake()
        elif self._see(pod):
            self._wake()

    def _see(self, pod: Pod) -> bool:
        """Look at a pod; return whether anything has changed that policies ask."""
        early = self._early.get(pod.metadata.uid, "")
        if early and (pod.status.pod_ip == early or pod.is_finished):
            del self._early[pod.metadata.uid]
        found = view_of(pod, early)
        key = pod.metadata.namespace, pod.metadata.name
        if found == self._pods.get(key):
            return False
        self._by_address = {}
        if found is None:
            del self._pods[key]
        else:
            self._pods[key] = found
        return True

    # --- work ---

    def _wake(self) -> None:
        """Work behind what else happens at this instant, if there is anything to do."""
        if not self._is_waking and (self.wanted or self._store.count(NetworkPolicy)):
            self._is_waking = True
            self._store.loop.at(self._store.loop.now, self.sync)

    def sync(self) -> None:
        """Make all nodes as policies want them."""
        self._is_waking = False
        decision = Decision(self.snapshot(), self.settings)
        for name, machine in self._machines.items():
            if not machine.is_up:
                continue
            wanted = decision.of_node(name, self.enforcer)
            before = self.wanted.pop(name, Wanted(self.enforcer.table))
            if not wanted.is_empty:
                self.wanted[name] = wanted
            if wanted != before:
                load(machine.net, before, wanted)
        self._look_after_later()

    def snapshot(self) -> Snapshot:
        """Return the objects as they are now."""
        return Snapshot(
            tuple(self._store.snapshot(NetworkPolicy)),
            tuple(self._pods[key] for key in sorted(self._pods)),
            {each.metadata.name: each.metadata.labels for each in self._store.each(Namespace)},
        )

    def _allow(self, machine: Machine) -> None:
        """Set what packets need to come by the rules; the node's own settings have the last word."""
        for name, value in self.enforcer.sysctls.items():
            if machine.net.sysctl.get(name) != value:
                machine.net.sysctl.set(name, value)
        machine.keep_sysctls()

    def _look_after_later(self) -> None:
        if self.wanted and not self._is_looking_after:
            self._is_looking_after = True
            loop = self._store.loop
            loop.periodic_at(later(loop.now, _PERIOD), self._look_after)

    def _look_after(self) -> None:
        """Put back what somebody has taken away."""
        self._is_looking_after = False
        for name, wanted in self.wanted.items():
            machine = self._machines[name]
            if machine.is_up and not is_intact(machine.net, wanted):
                load(machine.net, Wanted(wanted.table), wanted)
        self._look_after_later()
