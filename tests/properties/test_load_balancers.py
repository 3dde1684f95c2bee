# SPDX-License-Identifier: GPL-2.0-only
"""What holds of every load balancer, whatever the cluster behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.topology.load import load_topology
from emu.kube.api.objects import Pod, Service
from emu.verify.asker import Asker
from emu.verify.verdict import Result

if TYPE_CHECKING:
    from emu.kube.loadbalancers.settings import Kind
    from emu.verify.verdict import Outcome, Verdict

FEW: Final = settings(max_examples=max(settings().max_examples // 8, 6), deadline=None)
LAPTOP: Final = "198.51.100.7"


@attrs.frozen
class Plan:
    """A cluster with a balancer: which pods of `web` are on which worker, and whether they are ready."""

    kind: Kind
    provider: str
    workers: int
    pods: tuple[tuple[int, bool], ...]
    is_local: bool
    has_affinity: bool
    keeps_source: bool
    mode: str

    @property
    def text(self) -> str:
        """The documents."""
        nodes = "".join(f", {{name: w{number}}}" for number in range(self.workers))
        balancer = f"{{name: cloud, kind: {self.kind}"
        balancer += "" if self.keeps_source or self.kind != "nat" else ", source: replace"
        policy = "Local" if self.is_local else "Cluster"
        affinity = "ClientIP" if self.has_affinity else "None"
        documents = f"""
apiVersion: emu/v1
kind: Cluster
spec:
  nodes: [{{name: one, role: control-plane}}{nodes}]
  network: {{provider: {self.provider}}}
  kubeProxy: {{mode: {self.mode}}}
---
apiVersion: emu/v1
kind: Fabric
spec: {{loadBalancers: [{balancer}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: {policy}
  sessionAffinity: {affinity}
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
"""
        for index, (worker, is_ready) in enumerate(self.pods):
            probe = "" if is_ready else ", readinessProbe: {tcpSocket: {port: 9}}"
            documents += f"""---
apiVersion: v1
kind: Pod
metadata: {{name: web-{index}, labels: {{app: web}}, annotations: {{emu/serve: tcp/8080}}}}
spec: {{nodeName: w{worker}, containers: [{{name: c, image: nginx{probe}}}]}}
"""
        return documents


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any kind of balancer in front of up to four pods on up to three workers; shrinks to one of each."""
    workers = draw(st.integers(1, 3))
    ready = draw(st.lists(st.sampled_from((True, True, False)), min_size=draw(st.integers(1, 3)), max_size=4))
    return Plan(
        draw(st.sampled_from(("passthrough", "nat", "proxy", "l2"))),
        draw(st.sampled_from(("kindnet", "flannel", "kubenet"))),
        workers,
        tuple((index % workers, is_ready) for index, is_ready in enumerate(ready)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from(("iptables", "nftables"))),
    )


@FEW
@given(plans())
def test_every_ready_endpoint_is_reached_and_the_answer_comes_from_the_address(plan: Plan) -> None:
    """From outside: all ready pods and no other, as the client where that is promised, whoever translates."""
    (cluster, verdict) = _asked(plan)
    ready = {f"default/web-{index}" for index, (_, is_ready) in enumerate(plan.pods) if is_ready}
    reached = {one.arrival.pod for one in verdict.outcomes if _arrived(one) and one.arrival is not None}
    if not ready:
        assert not reached
        assert verdict.delivered == 0
        return
    assert verdict.delivered == 1, plan.text
    if plan.kind == "l2" and plan.is_local:
        (speakers,) = cluster.control_plane.balancers.speakers
        (node,) = speakers.announced.values()
        ready = {pod for pod in ready if cluster.store.get(Pod, pod[8:], "default").spec.node_name == node}
    if plan.has_affinity and (plan.kind == "proxy" or not plan.keeps_source):
        assert reached <= ready, (
            plan.text
        )  # all clients are one: the balancer, whose health checks came first
    else:
        assert reached == ready, plan.text
    for one in verdict.outcomes:
        _check_source(plan, one)
        answer = one.story.answer
        assert answer is not None
        last = answer.tuples[-1]
        assert (str(last.src), last.sport) == (str(verdict.target.address), 80)


def _asked(plan: Plan) -> tuple[Cluster, Verdict]:
    cluster = Cluster(load_topology(document.parse(plan.text, "plan.yaml")))
    assert cluster.store.get(Service, "web", "default").status.load_balancer.ingress
    return cluster, Asker(cluster).judge("ext/laptop", "svc/web:80")


def _arrived(one: Outcome) -> bool:
    return one.result is Result.DELIVERED


def _check_source(plan: Plan, one: Outcome) -> None:
    """See that a pod sees the client exactly where nobody on the way is to put an address in its place."""
    assert one.arrival is not None
    is_kept = plan.is_local and plan.kind != "proxy" and (plan.keeps_source or plan.kind != "nat")
    assert (str(one.arrival.source) == LAPTOP) is is_kept, plan.text
