# SPDX-License-Identifier: GPL-2.0-only
"""`describe`: the blocks of each kind, in order, and how they are laid out."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from emu.errors import CommandError
from emu.kube.api.objects.container import Exec, HttpGet, Probe, TcpSocket
from emu.kube.tables.describe.containers import probe_text
from emu.kube.tables.describe.others import title_of
from emu.kube.tables.describe.resources import Quantity, read
from emu.kube.tables.request import parse

if TYPE_CHECKING:
    from tests.unit.kube.tables.conftest import Ask

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: default, creationTimestamp: "2026-11-20T11:19:47Z"}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress:
  - ports: [{port: 80}, {port: 8000, endPort: 8010}]
    from:
    - {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}
    - {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}
  - {}
"""


def test_the_recorded_policy_comes_out(tell: Ask) -> None:
    """Rules are parted by a line, peers and ports are lists, nothing in a rule is everything."""
    assert tell(POLICY, "netpol np").stdout == dedent(
        """\
        Name:         np
        Namespace:    default
        Created on:   2026-11-20 11:19:47 +0000 UTC
        Labels:       <none>
        Annotations:  <none>
        Spec:
          PodSelector:     app=web
          Allowing ingress traffic:
            To Port: 80/TCP
            To Port Range: 8000-8010/TCP
            From:
              NamespaceSelector: <none>
              PodSelector: a=b
            From:
              IPBlock:
                CIDR: 10.0.0.0/8
                Except: 10.1.0.0/16
            ----------
            To Port: <any> (traffic allowed to all ports)
            From: <any> (traffic not restricted by source)
          Allowing egress traffic:
            <none> (Selected pods are isolated for egress connectivity)
          Policy Types: Ingress, Egress
        """
    )


def test_a_policy_for_one_direction(tell: Ask) -> None:
    """The other is not affected; without types they follow from the rules."""
    text = """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: np, namespace: default}
        spec: {podSelector: {}, %s}
        """
    blocked = tell(dedent(text) % "policyTypes: [Ingress]", "netpol").stdout
    assert (
        "  PodSelector:     <none> (Allowing the specific traffic to all pods in this namespace)\n"
        "  Allowing ingress traffic:\n"
        "    <none> (Selected pods are isolated for ingress connectivity)\n"
        "  Not affecting egress traffic\n"
        "  Policy Types: Ingress\n"
    ) in blocked
    out = tell(dedent(text) % "egress: [{to: [{podSelector: {}}]}, {}]", "netpol").stdout
    assert (
        "  Allowing egress traffic:\n"
        "    To Port: <any> (traffic allowed to all ports)\n"
        "    To:\n"
        "      PodSelector: <none>\n"
        "    ----------\n"
        "    To Port: <any> (traffic allowed to all ports)\n"
        "    To: <any> (traffic not restricted by destination)\n"
        "  Policy Types: Ingress, Egress\n"
    ) in out


POD = """
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: default
  uid: u1
  labels: {app: web, tier: front}
  annotations:
    note: short
    kubectl.kubernetes.io/last-applied-configuration: "{}"
    lines: "a\\nb\\n"
  ownerReferences: [{kind: ReplicaSet, name: web-5d, uid: r1, controller: true}]
spec:
  priority: 0
  nodeName: worker
  serviceAccountName: default
  nodeSelector: {disk: ssd}
  initContainers: [{name: setup, image: busybox}]
  containers:
  - name: web
    image: nginx
    command: [sh, -c]
    args: ["a\\nb"]
    ports: [{containerPort: 80, name: http}, {containerPort: 443, hostPort: 8443}]
    env:
    - {name: A, value: x}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
    - {name: S, valueFrom: {secretKeyRef: {name: s, key: k}}}
    envFrom: [{configMapRef: {name: c}}]
    resources: {limits: {cpu: 500m}, requests: {cpu: "0.25", memory: 65536Ki}}
    readinessProbe: {httpGet: {port: http, path: /healthz}}
    volumeMounts: [{name: v, mountPath: /z, readOnly: true}, {name: v, mountPath: /a, subPath: p}]
  tolerations:
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  - {key: a, value: b, effect: NoSchedule}
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule,
     labelSelector: {matchLabels: {app: web}}}
  volumes:
  - {name: v, emptyDir: {}}
  - {name: t, projected: {sources: [{serviceAccountToken: {expirationSeconds: 3607}},
     {configMap: {name: kube-root-ca.crt}}, {downwardAPI: {}}]}}
status:
  phase: Running
  hostIP: 172.18.0.3
  podIP: 10.244.1.5
  podIPs: [{ip: 10.244.1.5}]
  startTime: "2025-01-01T00:58:00Z"
  conditions: [{type: PodReadyToStartContainers, status: "True"}, {type: Ready, status: "True"}]
  containerStatuses:
  - name: web
    ready: true
    restartCount: 1
    containerID: containerd://c1
    imageID: sha256:1
    state: {running: {startedAt: "2025-01-01T00:58:20Z"}}
    lastState: {terminated: {exitCode: 1, reason: Error, startedAt: "2025-01-01T00:58:01Z",
      finishedAt: "2025-01-01T00:58:19Z"}}
---
apiVersion: v1
kind: Event
metadata: {name: web-1.2, namespace: default}
involvedObject: {kind: Pod, name: web-1, namespace: default, uid: u1, fieldPath: "spec.containers{web}"}
type: Warning
reason: BackOff
message: "Back-off "
count: 3
source: {component: kubelet, host: worker}
firstTimestamp: "2025-01-01T00:58:10Z"
lastTimestamp: "2025-01-01T00:58:30Z"
---
apiVersion: v1
kind: Event
metadata: {name: web-1.3, namespace: default}
involvedObject: {kind: Pod, name: web-1, namespace: default, uid: u1}
reason: Scheduled
message: Assigned
source: {component: default-scheduler}
firstTimestamp: "2025-01-01T00:57:55Z"
lastTimestamp: "2025-01-01T00:57:55Z"
---
apiVersion: v1
kind: Event
metadata: {name: other, namespace: default}
involvedObject: {kind: Pod, name: web-2, namespace: default}
reason: Elsewhere
"""


def test_a_pod_with_everything(tell: Ask) -> None:
    """All blocks in order; values are aligned within each run of lines that have a cell."""
    assert tell(POD, "pod web-1").stdout == (
        dedent(
            """\
            Name:             web-1
            Namespace:        default
            Priority:         0
            Service Account:  default
            Node:             worker/172.18.0.3
            Start Time:       Wed, 01 Jan 2025 00:58:00 +0000
            Labels:           app=web
                              tier=front
            Annotations:      lines:
                                a
                                b
                              note: short
            Status:           Running
            IP:               10.244.1.5
            IPs:
              IP:           10.244.1.5
            Controlled By:  ReplicaSet/web-5d
            Init Containers:
              setup:
                Image:        busybox
                Port:         <none>
                Host Port:    <none>
                Environment:  <none>
                Mounts:       <none>
            Containers:
              web:
                Container ID:  containerd://c1
                Image:         nginx
                Image ID:      sha256:1
                Ports:         80/TCP (http), 443/TCP
                Host Ports:    0/TCP (http), 8443/TCP
                Command:
                  sh
                  -c
                Args:
                  a
                  b
                State:          Running
                  Started:      Wed, 01 Jan 2025 00:58:20 +0000
                Last State:     Terminated
                  Reason:       Error
                  Exit Code:    1
                  Started:      Wed, 01 Jan 2025 00:58:01 +0000
                  Finished:     Wed, 01 Jan 2025 00:58:19 +0000
                Ready:          True
                Restart Count:  1
                Limits:
                  cpu:  500m
                Requests:
                  cpu:      250m
                  memory:   64Mi
                Readiness:  PROBE
                Environment Variables from:
                  c  ConfigMap  Optional: false
                Environment:
                  A:    x
                  IP:   10.244.1.5 (v1:status.podIP)
                  CPU:  node allocatable (limits.memory)
                  S:    <set to the key 'k' in secret 's'>  Optional: false
                Mounts:
                  /a from v (rw,path="p")
                  /z from v (ro)
            """
        ).replace(
            "PROBE", "http-get http://:http/healthz delay=0s timeout=1s period=10s #success=1 #failure=3"
        )
        + "Conditions:\n"
        + "  Type                        Status\n"
        + "  PodReadyToStartContainers   True \n"
        + "  Ready                       True \n"
        + "Volumes:\n"
        + "  v:\n"
        + "    Type:       EmptyDir (a temporary directory that shares a pod's lifetime)\n"
        + "    Medium:     \n"
        + "    SizeLimit:  <unset>\n"
        + "  t:\n"
        + "    Type:                     "
        + "Projected (a volume that contains injected data from multiple sources)\n"
        + "    TokenExpirationSeconds:   3607\n"
        + "    ConfigMapName:            kube-root-ca.crt\n"
        + "    Optional:                 false\n"
        + "    DownwardAPI:              true\n"
        + "QoS Class:                    Burstable\n"
        + "Node-Selectors:               disk=ssd\n"
        + "Tolerations:                  a=b:NoSchedule\n"
        + "                              node.kubernetes.io/not-ready:NoExecute op=Exists for 300s\n"
        + "Topology Spread Constraints:  "
        + "zone:DoNotSchedule when max skew 1 is exceeded for selector app=web\n"
        + "Events:\n"
        + "  Type     Reason     Age                 From               Message\n"
        + "  ----     ------     ----                ----               -------\n"
        + "  Normal   Scheduled  2m5s                default-scheduler  Assigned\n"
        + "  Warning  BackOff    90s (x3 over 110s)  kubelet            spec.containers{web}: Back-off\n"
    )


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (Probe(exec=Exec(("cat", "/x"))), "exec [cat /x]"),
        (Probe(http_get=HttpGet(8080, host="fd00::1", scheme="HTTPS")), "http-get https://[fd00::1]:8080/"),
        (Probe(tcp_socket=TcpSocket("db")), "tcp-socket :db"),
        (Probe(rest={"grpc": {"port": 9}}), "grpc <pod>:9 "),
        (Probe(), "unknown"),
    ],
)
def test_probes_are_one_line(probe: Probe, text: str) -> None:
    """What is asked, then times and thresholds."""
    assert probe_text(probe) == f"{text} delay=0s timeout=1s period=10s #success=1 #failure=3"


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: LoadBalancer
  selector: {app: web}
  clusterIP: 10.96.12.7
  clusterIPs: [10.96.12.7]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  externalIPs: [9.9.9.9]
  loadBalancerIP: 1.2.3.4
  loadBalancerSourceRanges: [10.0.0.0/8]
  ports:
  - {name: http, port: 80, targetPort: web, nodePort: 30080, appProtocol: http}
  - {port: 53, protocol: UDP}
  externalTrafficPolicy: Local
  internalTrafficPolicy: Cluster
  healthCheckNodePort: 31000
  trafficDistribution: PreferClose
status: {loadBalancer: {ingress: [{ip: 1.2.3.4, ipMode: VIP}, {ip: 1.2.3.5}, {hostname: lb.example}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-abcde, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.244.1.1], conditions: {ready: true}, nodeName: w1, zone: a,
   targetRef: {kind: Pod, name: p}}
- {addresses: [10.244.1.2], conditions: {ready: false}}
- {addresses: [10.244.1.3]}
- {addresses: [10.244.1.4]}
- {addresses: [10.244.1.5]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing, namespace: default, annotations: {a: b}}
spec:
  ingressClassName: nginx
  tls: [{hosts: [a.example], secretName: cert}, {hosts: [b.example]}]
  rules:
  - host: a.example
    http: {paths: [{path: /, backend: {service: {name: web, port: {number: 80}}}}]}
  - http: {paths: [{path: /x, backend: {service: {name: gone, port: {name: http}}}}]}
"""


def test_a_service_with_everything(tell: Ask) -> None:
    """Each port has its block; endpoints are the ready ones, three and how many more."""
    assert tell(SERVICE, "svc").stdout == (
        "Name:                        web\n"
        "Namespace:                   default\n"
        "Labels:                      <none>\n"
        "Annotations:                 <none>\n"
        "Selector:                    app=web\n"
        "Type:                        LoadBalancer\n"
        "IP Family Policy:            SingleStack\n"
        "IP Families:                 IPv4\n"
        "IP:                          10.96.12.7\n"
        "IPs:                         10.96.12.7\n"
        "External IPs:                9.9.9.9\n"
        "Desired LoadBalancer IP:     1.2.3.4\n"
        "LoadBalancer Ingress:        1.2.3.4 (VIP), 1.2.3.5, lb.example\n"
        "Port:                        http  80/TCP\n"
        "TargetPort:                  web/TCP\n"
        "AppProtocol:                 http\n"
        "NodePort:                    http  30080/TCP\n"
        "Endpoints:                   10.244.1.1:8080,10.244.1.3:8080,10.244.1.4:8080 + 1 more...\n"
        "Port:                        <unset>  53/UDP\n"
        "TargetPort:                  53/UDP\n"
        "Endpoints:                   \n"
        "Session Affinity:            None\n"
        "External Traffic Policy:     Local\n"
        "Internal Traffic Policy:     Cluster\n"
        "HealthCheck NodePort:        31000\n"
        "LoadBalancer Source Ranges:  10.0.0.0/8\n"
        "Traffic Distribution:        PreferClose\n"
        "Events:                      <none>\n"
    )


def test_a_slice(tell: Ask) -> None:
    """Ports are a table, endpoints a list."""
    text = tell(SERVICE, "endpointslice").stdout
    assert text.startswith(
        dedent(
            """\
            Name:         web-abcde
            Namespace:    default
            Labels:       kubernetes.io/service-name=web
            Annotations:  <none>
            AddressType:  IPv4
            Ports:
              Name  Port  Protocol
              ----  ----  --------
              http  8080  TCP
            Endpoints:
              - Addresses:  10.244.1.1
                Conditions:
                  Ready:    true
                Hostname:   <unset>
                TargetRef:  Pod/p
                NodeName:   w1
                Zone:       a
              - Addresses:  10.244.1.2
            """
        )
    )
    assert text.endswith("    Zone:      <unset>\nEvents:        <none>\n")


def test_an_ingress(tell: Ask) -> None:
    """Backends show the endpoints behind them, or that there is no such Service."""
    assert tell(SERVICE, "ing").stdout == (
        "Name:             ing\n"
        "Labels:           <none>\n"
        "Namespace:        default\n"
        "Address:          \n"
        "Ingress Class:    nginx\n"
        "Default backend:  <default>\n"
        "TLS:\n"
        "  cert terminates a.example\n"
        "  SNI routes b.example\n"
        "Rules:\n"
        "  Host        Path  Backends\n"
        "  ----        ----  --------\n"
        "  a.example   \n"
        "              /   web:80 (10.244.1.1:8080,10.244.1.3:8080,10.244.1.4:8080 + 1 more...)\n"
        "  *           \n"
        '              /x   gone:http (<error: services "gone" not found>)\n'
        "Annotations:  a: b\n"
        "Events:       <none>\n"
    )


WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, uid: d1, creationTimestamp: "2025-01-01T00:57:55Z",
  annotations: {deployment.kubernetes.io/revision: "2"}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
status:
  replicas: 3
  updatedReplicas: 3
  availableReplicas: 3
  conditions: [{type: Available, status: "True", reason: MinimumReplicasAvailable}]
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, namespace: default, uid: r1, annotations: {deployment.kubernetes.io/revision: "1"},
  ownerReferences: [{kind: Deployment, name: web, uid: d1, controller: true}]}
spec: {replicas: 0, selector: {matchLabels: {app: web, pod-template-hash: "1"}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-2, namespace: default, uid: r2, annotations: {deployment.kubernetes.io/revision: "2"},
  ownerReferences: [{kind: Deployment, name: web, uid: d1, controller: true}]}
spec: {replicas: 3, selector: {matchLabels: {app: web}}}
status: {replicas: 3}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2-a, namespace: default,
  ownerReferences: [{kind: ReplicaSet, name: web-2, uid: r2, controller: true}]}
status: {phase: Running}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds, namespace: default}
spec: {selector: {matchLabels: {app: ds}}}
status: {desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 2, numberMisscheduled: 1}
---
apiVersion: batch/v1
kind: Job
metadata: {name: job, namespace: default}
spec: {completions: 2, parallelism: 1, completionMode: Indexed, backoffLimit: 6}
status: {succeeded: 1, active: 1, ready: 0, startTime: "2025-01-01T00:58:00Z",
  completedIndexes: "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron, namespace: default}
spec: {schedule: "*/5 * * * *"}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: rc, namespace: default}
spec: {selector: {app: rc}}
"""


def test_a_deployment(tell: Ask) -> None:
    """Counts, strategy, the template, and its ReplicaSets, old and new."""
    assert tell(WORKLOADS, "deploy/web").stdout == (
        dedent(
            """\
            Name:                   web
            Namespace:              default
            CreationTimestamp:      Wed, 01 Jan 2025 00:57:55 +0000
            Labels:                 <none>
            Annotations:            deployment.kubernetes.io/revision: 2
            Selector:               app=web
            Replicas:               3 desired | 3 updated | 3 total | 3 available | 0 unavailable
            StrategyType:           RollingUpdate
            MinReadySeconds:        0
            RollingUpdateStrategy:  25% max unavailable, 25% max surge
            Pod Template:
              Labels:  app=web
              Containers:
               web:
                Image:         nginx
                Port:          80/TCP
                Host Port:     0/TCP
                Environment:   <none>
                Mounts:        <none>
              Volumes:         <none>
              Node-Selectors:  <none>
              Tolerations:     <none>
            Conditions:
              Type           Status  Reason
              ----           ------  ------
              Available      True    MinimumReplicasAvailable
            OldReplicaSets:  web-1 (0/0 replicas created)
            NewReplicaSet:   web-2 (3/3 replicas created)
            Events:          <none>
            """
        )
    )


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            "rs/web-2",
            [
                "Controlled By:  Deployment/web",
                "Replicas:       3 current / 3 desired",
                "Pods Status:    1 Running / 0 Waiting / 0 Succeeded / 0 Failed",
            ],
        ),
        ("rc/rc", ["Selector:     app=rc", "Replicas:     0 current / 1 desired"]),
        (
            "sts/db",
            [
                "Replicas:           2 desired | 0 total",
                "Update Strategy:    RollingUpdate",
                "  Partition:        0",
                "Volume Claims:",
                "  Name:          data",
                "  Capacity:      1Gi",
                "  Access Modes:  [ReadWriteOnce]",
            ],
        ),
        (
            "ds/ds",
            [
                "Desired Number of Nodes Scheduled: 3",
                "Number of Nodes Scheduled with Available Pods: 0",
                "Number of Nodes Misscheduled: 1",
                "Node-Selector:  <none>",
            ],
        ),
        (
            "job/job",
            [
                "Parallelism:        1",
                "Completions:        2",
                "Completion Mode:    Indexed",
                "Suspend:            false",
                "Backoff Limit:      6",
                "Start Time:         Wed, 01 Jan 2025 00:58:00 +0000",
                "Pods Statuses:      1 Active (0 Ready) / 1 Succeeded / 0 Failed",
                ("Completed Indexes:  0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,..."),
            ],
        ),
        (
            "cj/cron",
            [
                "Schedule:                      */5 * * * *",
                "Concurrency Policy:            Allow",
                "Suspend:                       False",
                "Successful Job History Limit:  3",
                "Failed Job History Limit:      1",
                "Starting Deadline Seconds:     <unset>",
                "Last Schedule Time:  <unset>",
                "Active Jobs:         <none>",
            ],
        ),
    ],
)
def test_other_workloads(tell: Ask, words: str, lines: list[str]) -> None:
    """Each has its own lines before and behind the template."""
    written = tell(WORKLOADS, words).stdout.splitlines()
    assert [line for line in lines if line not in written] == []


NODE = """
apiVersion: v1
kind: Node
metadata: {name: n1, uid: x, labels: {node-role.kubernetes.io/control-plane: ""},
  creationTimestamp: "2025-01-01T00:00:00Z"}
spec:
  podCIDR: 10.244.0.0/24
  podCIDRs: [10.244.0.0/24]
  taints: [{key: b, effect: NoSchedule}, {key: a, value: v, effect: NoExecute}]
status:
  addresses: [{type: InternalIP, address: 172.18.0.2}, {type: Hostname, address: n1}]
  capacity: {cpu: 4, memory: 8Gi, pods: "110", hugepages-2Mi: 0}
  conditions: [{type: Ready, status: "True", reason: KubeletReady, message: kubelet is posting ready status,
    lastHeartbeatTime: "2025-01-01T00:59:00Z", lastTransitionTime: "2025-01-01T00:01:00Z"}]
  nodeInfo: {kubeletVersion: v1.35.0, architecture: amd64}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: default, creationTimestamp: "2025-01-01T00:30:00Z"}
spec:
  nodeName: n1
  initContainers: [{name: i, resources: {requests: {cpu: "1"}}},
    {name: s, restartPolicy: Always, resources: {requests: {cpu: 100m}}}]
  containers: [{name: a, resources: {requests: {cpu: 100m, memory: 70Mi}, limits: {memory: 170Mi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: default}
spec: {nodeName: n1}
status: {phase: Succeeded}
---
apiVersion: v1
kind: Event
metadata: {name: e, namespace: default}
involvedObject: {kind: Node, name: n1, uid: n1}
reason: NodeReady
message: ok
source: {component: kubelet}
firstTimestamp: "2025-01-01T00:59:00Z"
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: n1, namespace: kube-node-lease}
spec: {holderIdentity: n1, renewTime: "2025-01-01T00:59:59.000000Z"}
"""


def test_a_node(tell: Ask) -> None:
    """Conditions, what it has, and what the pods on it ask for."""
    assert tell(NODE, "node n1").stdout == (
        "Name:               n1\n"
        "Roles:              control-plane\n"
        "Labels:             node-role.kubernetes.io/control-plane=\n"
        "Annotations:        <none>\n"
        "CreationTimestamp:  Wed, 01 Jan 2025 00:00:00 +0000\n"
        "Taints:             a=v:NoExecute\n"
        "                    b:NoSchedule\n"
        "Unschedulable:      false\n"
        "Lease:\n"
        "  HolderIdentity:  n1\n"
        "  AcquireTime:     <unset>\n"
        "  RenewTime:       Wed, 01 Jan 2025 00:59:59 +0000\n"
        "Conditions:\n"
        "  Type    Status  LastHeartbeatTime                 LastTransitionTime                Reason"
        "         Message\n"
        "  ----    ------  -----------------                 ------------------                ------"
        "         -------\n"
        "  Ready   True    Wed, 01 Jan 2025 00:59:00 +0000   Wed, 01 Jan 2025 00:01:00 +0000   KubeletReady"
        "   kubelet is posting ready status\n"
        "Addresses:\n"
        "  InternalIP:  172.18.0.2\n"
        "  Hostname:    n1\n"
        "Capacity:\n"
        "  cpu:            4\n"
        "  hugepages-2Mi:  0\n"
        "  memory:         8Gi\n"
        "  pods:           110\n"
        "System Info:\n"
        "  Machine ID:                 \n"
        "  System UUID:                \n"
        "  Boot ID:                    \n"
        "  Kernel Version:             \n"
        "  OS Image:                   \n"
        "  Operating System:           \n"
        "  Architecture:               amd64\n"
        "  Container Runtime Version:  \n"
        "  Kubelet Version:            v1.35.0\n"
        "  Kube-Proxy Version:         \n"
        "PodCIDR:                      10.244.0.0/24\n"
        "PodCIDRs:                     10.244.0.0/24\n"
        "Non-terminated Pods:          (1 in total)\n"
        "  Namespace                   Name    CPU Requests  CPU Limits  Memory"
        " Requests  Memory Limits  Age\n"
        "  ---------                   ----    ------------  ----------  ------"
        "---------  -------------  ---\n"
        "  default                     a       1 (25%)       0 (0%)      70Mi ("
        "0%)        170Mi (2%)     30m\n"
        "Allocated resources:\n"
        "  (Total limits may be over 100 percent, i.e., overcommitted.)\n"
        "  Resource           Requests   Limits\n"
        "  --------           --------   ------\n"
        "  cpu                1 (25%)    0 (0%)\n"
        "  memory             70Mi (0%)  170Mi (2%)\n"
        "  ephemeral-storage  0 (0%)     0 (0%)\n"
        "  hugepages-2Mi      0 (0%)     0 (0%)\n"
        "Events:\n"
        "  Type    Reason     Age   From     Message\n"
        "  ----    ------     ----  ----     -------\n"
        "  Normal  NodeReady  60s   kubelet  ok\n"
    )


def test_nodes_have_no_proxy_version_from_1_36(tell: Ask) -> None:
    """The field went away."""
    assert "Kube-Proxy Version" not in tell(NODE, "node n1", version="1.36").stdout


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500", "1500"),
        ("2000", "2k"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.1Ki", "102400m"),
        ("1e3", "1k"),
        ("0", "0"),
        ("x", "0"),
    ],
)
def test_quantities_are_written_with_the_largest_suffix(text: str, written: str) -> None:
    """That leaves them whole; powers of 1024 stay such."""
    assert str(read(text)) == written


def test_quantities_add_up() -> None:
    """The sum is written as its first part is."""
    assert str(read("100m") + read("1")) == "1100m"
    assert str(Quantity() + read("1Mi") + read("1Mi")) == "2Mi"


def test_other_objects_show_their_manifest(tell: Ask) -> None:
    """Keys become titles, in order."""
    text = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: r, namespace: default, uid: u}
        spec: {hostNames: [a.example], rules: [{backendRefs: [{name: web, port: 80}]}], parentUID: x}
        """
    assert tell(dedent(text), "httproute r").stdout == dedent(
        """\
        Name:         r
        Namespace:    default
        Labels:       <none>
        Annotations:  <none>
        API Version:  gateway.networking.k8s.io/v1
        Kind:         HTTPRoute
        Metadata:
          UID:  u
        Spec:
          Host Names:
            a.example
          Parent UID:  x
          Rules:
            Backend Refs:
              Name:  web
              Port:  80
        Events:      <none>
        """
    )


@pytest.mark.parametrize(
    ("key", "title"),
    [("podSelector", "Pod Selector"), ("apiGroup", "API Group"), ("a.b", "a.b"), ("clusterIP", "Cluster IP")],
)
def test_titles(key: str, title: str) -> None:
    """Words of a key are parted, acronyms in capitals, keys with other signs left alone."""
    assert title_of(key) == title


def test_config_maps_show_their_texts(tell: Ask) -> None:
    """And how long binary data are."""
    text = """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: c, namespace: default}
        data: {Corefile: ".:53 {\\n}"}
        binaryData: {b: AAEC}
        """
    assert tell(dedent(text), "cm c").stdout == (
        "Name:         c\nNamespace:    default\nLabels:       <none>\nAnnotations:  <none>\n"
        "\nData\n====\nCorefile:\n----\n.:53 {\n}\n\n"
        "\nBinaryData\n====\nb: 3 bytes\n\n"
        "Events:  <none>\n"
    )


@pytest.mark.parametrize("words", ["ns/x", "ep/x", "ingressclass/x", "ev/x", "secret/x"])
def test_every_kind_has_a_description(tell: Ask, words: str) -> None:
    """It begins with the name."""
    kinds = {"ns": "Namespace", "ep": "Endpoints", "ingressclass": "IngressClass", "ev": "Event"}
    kind = kinds.get(words.partition("/")[0], "Secret")
    version = "networking.k8s.io/v1" if kind == "IngressClass" else "v1"
    namespace = "" if kind in {"Namespace", "IngressClass"} else ", namespace: default"
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x{namespace}}}"
    assert tell(text, words).stdout.split()[:2] == ["Name:", "x"]


def test_endpoints_list_their_subsets(tell: Ask) -> None:
    """Ready and not ready addresses, and a table of ports."""
    text = """
        apiVersion: v1
        kind: Endpoints
        metadata: {name: web, namespace: default}
        subsets:
        - {addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{port: 80}]}
        """
    assert (
        "Subsets:\n"
        "  Addresses:          10.0.0.1,10.0.0.2\n"
        "  NotReadyAddresses:  <none>\n"
        "  Ports:\n"
        "    Name     Port  Protocol\n"
        "    ----     ----  --------\n"
        "    <unset>  80    TCP\n"
        "\n"
        "Events:  <none>\n"
    ) in tell(dedent(text), "ep web").stdout


class TestChoosing:
    """Which objects are described."""

    def test_several_are_parted_by_two_lines(self, tell: Ask) -> None:
        """In the order of names."""
        parts = tell(WORKLOADS, "rs").stdout.split("\n\n\n")
        assert [part.split()[1] for part in parts] == ["web-1", "web-2"]

    def test_a_beginning_of_a_name_is_enough(self, tell: Ask) -> None:
        """If nothing has the name itself."""
        answer = tell(WORKLOADS, "rs web")
        assert answer.stdout.count("Name:  ") == 2
        assert (answer.stderr, answer.status) == ("", 0)

    def test_what_is_missing_is_told(self, tell: Ask) -> None:
        """As `get` tells it."""
        answer = tell(WORKLOADS, "rs nope")
        assert answer.stdout == ""
        assert answer.stderr == 'Error from server (NotFound): replicasets.apps "nope" not found\n'
        assert answer.status == 1
        assert tell(WORKLOADS, "svc").stderr == "No resources found in default namespace.\n"
        assert tell(WORKLOADS, "foo").stderr == 'error: the server doesn\'t have a resource type "foo"\n'

    def test_events_may_be_left_out(self, tell: Ask) -> None:
        """On request."""
        assert "Events:" not in tell(POD, "po/web-1", show_events=False).stdout

    def test_a_kind_is_needed(self) -> None:
        """Without one it is asked for."""
        with pytest.raises(CommandError, match="must specify the type of resource to describe"):
            parse([], verb="describe")
