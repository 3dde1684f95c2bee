# SPDX-License-Identifier: GPL-2.0-only
"""Who speaks TLS in a cluster: the API server, hosts outside, kubelets that probe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import emu
from emu.apps.tls import authorities
from emu.cluster.cluster import Cluster
from emu.kube.api.objects import Event, Pod

if TYPE_CHECKING:
    from pathlib import Path

    from emu.apps.tools.finished import Finished

CLUSTER = """
apiVersion: emu/v1
kind: Fabric
spec:
  external:
  - {name: laptop, ip: 198.51.100.7}
  - {name: api.example.com, ip: 192.0.2.80, serves: [tcp/443]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
  - {name: shell, image: curlimages/curl, command: [sleep, infinity]}
---
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  containers:
  - name: web
    image: nginx
    ports: [{containerPort: 80}]
    readinessProbe: {httpGet: {path: /, port: 80, scheme: HTTPS}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: secure}
spec:
  containers:
  - name: web
    image: registry.example/hook
    ports: [{containerPort: 9443, name: webhook}]
    readinessProbe: {httpGet: {path: /, port: webhook, scheme: HTTPS}, periodSeconds: 1}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Return a cluster with a client."""
    return make(tmp_path_factory.mktemp("tls"), CLUSTER)


def make(folder: Path, text: str) -> Cluster:
    """Return the cluster that a document describes."""
    file = folder / "cluster.yaml"
    file.write_text(text)
    found = emu.load(file)
    assert isinstance(found, Cluster)
    return found


def curl(cluster: Cluster, words: str) -> Finished:
    """Run curl in the client pod."""
    return cluster.pod("client").execute(["curl", "-sS", *words.split()])


def test_a_stranger_is_refused_by_the_api_server_in_its_words(cluster: Cluster) -> None:
    """403 and a Status, by name and by address, with the authority that a service account gives."""
    found = curl(cluster, f"--cacert {authorities.SERVICE_ACCOUNT} https://kubernetes.default")
    assert (found.stderr, found.status) == ("", 0)
    assert json.loads(found.stdout) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'forbidden: User "system:anonymous" cannot get path "/"',
        "reason": "Forbidden",
        "details": {},
        "code": 403,
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("https://kubernetes/healthz", 200, "ok"),
        ("https://kubernetes/readyz/ping", 200, "ok"),
        ("https://kubernetes/version", 200, '"minor": "35"'),
        ("-H Authorization:Bearer https://10.96.0.1", 401, '"message": "Unauthorized"'),
        ("http://kubernetes:443", 400, "Client sent an HTTP request to an HTTPS server.\n"),
        (
            "https://kubernetes/api/v1/namespaces/default/pods",
            403,
            r"cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
        ),
        (
            "-X DELETE https://kubernetes/apis/apps/v1/namespaces/x/deployments/web",
            403,
            r"cannot delete resource \"deployments\" in API group \"apps\" in the namespace \"x\"",
        ),
        ("https://kubernetes/api/v1/nodes", 403, r"\"nodes\" in API group \"\" at the cluster scope"),
    ],
)
def test_the_api_server_answers_as_it_does_strangers(
    cluster: Cluster, words: str, code: int, said: str
) -> None:
    """What is open to all is answered, the rest refused."""
    found = curl(cluster, f"-k -w %{{http_code}} {words}")
    assert found.stdout.endswith(str(code))
    assert said in found.stdout


def test_a_host_outside_has_a_certificate_of_its_name(cluster: Cluster) -> None:
    """Signed by an authority that everybody trusts; for no other name."""
    assert curl(cluster, "https://api.example.com").stdout == "api.example.com\n"
    other = curl(cluster, "--resolve other.example.com:443:192.0.2.80 https://other.example.com")
    assert other.status == 60
    assert (
        "no alternative certificate subject name matches target hostname 'other.example.com'" in other.stderr
    )


def test_a_probe_by_https_fails_where_nobody_speaks_tls(cluster: Cluster) -> None:
    """In the kubelet's words."""
    assert not cluster.store.get(Pod, "probed", "default").is_ready
    told = [each.message for each in cluster.store.each(Event) if each.reason == "Unhealthy"]
    assert [each.rpartition('/": ')[2] for each in told] == [
        "http: server gave HTTP response to HTTPS client"
    ]


def test_a_port_that_is_probed_by_https_speaks_it(cluster: Cluster) -> None:
    """The kubelet looks at no certificate; curl does."""
    pod = cluster.store.get(Pod, "secure", "default")
    assert pod.is_ready
    assert curl(cluster, f"-k https://{pod.status.pod_ip}:9443").stdout == "secure\n"
    refused = curl(cluster, f"https://{pod.status.pod_ip}:9443")
    assert "SSL certificate problem: self-signed certificate" in refused.stderr
