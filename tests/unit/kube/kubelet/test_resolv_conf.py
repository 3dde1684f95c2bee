# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Final

import pytest

from emu.kube.api.objects.pod import DnsConfig, DnsOption, PodSpec
from emu.kube.kubelet.resolv_conf import ClusterDns, ResolvConf, of_pod

DNS: Final = ClusterDns(("10.96.0.10",))
NODE: Final = "search corp.example\nnameserver 192.0.2.53\noptions edns0\n"
CLUSTER: Final = """\
search shop.svc.cluster.local svc.cluster.local cluster.local corp.example
nameserver 10.96.0.10
options ndots:5
"""


def text(spec: PodSpec, cluster: ClusterDns = DNS, node: str = NODE) -> str:
    """Return the file of a pod in the namespace `shop`."""
    return str(of_pod(spec, "shop", cluster, node)[0])


@pytest.mark.parametrize(
    ("policy", "host_network", "expected"),
    [
        ("ClusterFirst", False, CLUSTER),
        ("ClusterFirst", True, NODE),
        ("ClusterFirstWithHostNet", True, CLUSTER),
        ("ClusterFirstWithHostNet", False, CLUSTER),
        ("Default", False, NODE),
        ("None", False, ""),
    ],
)
def test_the_policy_decides_whose_servers_are_asked(
    policy: str, expected: str, *, host_network: bool
) -> None:
    """The cluster's, the node's, or those of the dnsConfig alone."""
    assert text(PodSpec(dns_policy=policy, host_network=host_network)) == expected


def test_a_cluster_without_dns_leaves_the_nodes_file() -> None:
    """As the kubelet without `--cluster-dns` does."""
    assert text(PodSpec(), ClusterDns()) == NODE


class TestConfig:
    """`dnsConfig` is added to what the policy gives."""

    CONFIG: Final = DnsConfig(
        ("1.1.1.1", "10.96.0.10"),
        ("my.example", "cluster.local"),
        (DnsOption("ndots", "2"), DnsOption("single-request-reopen")),
    )

    def test_servers_and_domains_come_behind_and_once(self) -> None:
        """What is there already is not repeated; an option of the same name is replaced."""
        assert text(PodSpec(dns_config=self.CONFIG)) == (
            "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example my.example\n"
            "nameserver 10.96.0.10\n"
            "nameserver 1.1.1.1\n"
            "options ndots:2 single-request-reopen\n"
        )

    def test_under_the_policy_none_it_is_all_there_is(self) -> None:
        """Nothing of the cluster, nothing of the node."""
        assert text(PodSpec(dns_policy="None", dns_config=self.CONFIG)) == (
            "search my.example cluster.local\n"
            "nameserver 1.1.1.1\nnameserver 10.96.0.10\n"
            "options ndots:2 single-request-reopen\n"
        )

    @pytest.mark.parametrize("node", ["", "# nothing\n", "nameserver\n"])
    def test_a_node_without_domains_adds_none(self, node: str) -> None:
        """Comments and words without values are nothing."""
        assert (
            text(PodSpec(), node=node)
            .splitlines()[0]
            .endswith("shop.svc.cluster.local svc.cluster.local cluster.local")
        )


class TestLimits:
    """The resolver takes three servers, 32 domains, 2048 characters."""

    def test_more_than_three_servers_are_cut_and_told(self) -> None:
        """The first three stay."""
        config = DnsConfig(("1.0.0.1", "1.0.0.2", "1.0.0.3"))
        found, words = of_pod(PodSpec(dns_config=config), "shop", DNS, NODE)
        assert found.servers == ("10.96.0.10", "1.0.0.1", "1.0.0.2")
        assert words == (
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            "the applied nameserver line is: 10.96.0.10 1.0.0.1 1.0.0.2"
        )

    def test_more_than_32_domains_are_cut_and_told(self) -> None:
        """The first ones stay."""
        config = DnsConfig(searches=tuple(f"d{number}.example" for number in range(32)))
        found, words = of_pod(PodSpec(dns_config=config), "shop", DNS, NODE)
        assert len(found.searches) == 32
        assert found.searches[-1] == "d27.example"
        assert words.startswith("Search Line limits were exceeded")

    def test_more_than_2048_characters_are_cut(self) -> None:
        """Whole domains go, from the end."""
        config = DnsConfig(searches=tuple(f"{number}{'x' * 200}.example" for number in range(20)))
        found, _ = of_pod(PodSpec(dns_config=config), "shop", DNS, NODE)
        assert 1800 < len(" ".join(found.searches)) <= 2048

    def test_what_fits_is_not_told(self) -> None:
        """No words where nothing was cut."""
        assert of_pod(PodSpec(), "shop", DNS, NODE)[1] == ""


def test_the_last_list_of_domains_in_a_file_counts() -> None:
    """As resolv.conf(5) says; options add up."""
    found = ResolvConf.parse(
        "search a b\ndomain c\noptions ndots:1\noptions rotate\nnameserver 1.1.1.1 # x\n"
    )
    assert found == ResolvConf(("1.1.1.1",), ("c",), ("ndots:1", "rotate"))
