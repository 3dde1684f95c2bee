# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any, Final

import pytest

from emu.kube.api.objects import Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import HostAlias, PodSpec
from emu.kube.kubelet import hosts

DOMAIN: Final = "cluster.local"
STANDARD: Final = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def pod(name: str = "web-0", **spec: Any) -> Pod:  # noqa: ANN401 - fields of a spec
    """Return a pod on `node-1`."""
    return Pod(Meta(name, "shop"), PodSpec(node_name="node-1", **spec))


class TestHostname:
    """A pod calls itself by its name, unless it says otherwise."""

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (pod(), "web-0"),
            (pod(hostname="db"), "db"),
            (pod("a" * 62 + "-" + "b" * 10), "a" * 62),  # 63 characters end in a dash, which goes
            (pod(host_network=True), "node-1"),
            (pod(subdomain="web", set_hostname_as_fqdn=True), "web-0.web.shop.svc.cluster.local"),
            (pod(set_hostname_as_fqdn=True), "web-0"),  # without a subdomain there is no full name
            (pod(rest={"hostnameOverride": "mine.example"}, hostname="db"), "mine.example"),
        ],
    )
    def test_is_by_the_spec(self, given: Pod, expected: str) -> None:
        """Cut to 63 characters; the node's own on its network."""
        assert hosts.hostname(given, DOMAIN) == expected


class TestFile:
    """`/etc/hosts` as the kubelet writes it."""

    def test_has_the_pods_address_and_name_at_its_end(self) -> None:
        """Behind what every such file has."""
        assert hosts.of_pod(pod(), "10.244.1.5", DOMAIN) == f"{STANDARD}10.244.1.5\tweb-0\n"

    @pytest.mark.parametrize("as_fqdn", [False, True])
    def test_has_the_full_name_before_it_where_there_is_a_subdomain(self, *, as_fqdn: bool) -> None:
        """Also where the pod calls itself by it."""
        given = pod(subdomain="web", set_hostname_as_fqdn=as_fqdn)
        line = "10.244.1.5\tweb-0.web.shop.svc.cluster.local\tweb-0\n"
        assert hosts.of_pod(given, "10.244.1.5", DOMAIN) == STANDARD + line

    def test_has_the_aliases_below(self) -> None:
        """Behind a blank line and a comment."""
        aliases = (HostAlias("127.0.0.1", ("foo.local", "bar.local")), HostAlias("10.1.2.3", ("baz",)))
        assert hosts.of_pod(pod(host_aliases=aliases), "10.244.1.5", DOMAIN) == (
            f"{STANDARD}10.244.1.5\tweb-0\n\n# Entries added by HostAliases.\n"
            "127.0.0.1\tfoo.local\tbar.local\n10.1.2.3\tbaz\n"
        )

    def test_on_the_nodes_network_is_the_nodes_file(self) -> None:
        """Under another header, with the pod's aliases."""
        node = hosts.of_node("node-1", "172.18.0.2")
        spec = PodSpec(host_network=True, host_aliases=(HostAlias("10.1.2.3", ("baz",)),))
        assert hosts.of_host_network(spec, node) == (
            "# Kubernetes-managed hosts file (host network).\n"
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n172.18.0.2\tnode-1\n"
            "\n# Entries added by HostAliases.\n10.1.2.3\tbaz\n"
        )
