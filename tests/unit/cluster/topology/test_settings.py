# SPDX-License-Identifier: GPL-2.0-only
"""`--set KEY=VALUE` on the Cluster document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu import document
from emu.cluster.topology import load_topology
from emu.cluster.topology.settings import with_settings
from emu.errors import DocumentError

if TYPE_CHECKING:
    from emu.cluster.topology import ClusterSpec

CLUSTER = """\
apiVersion: emu/v1
kind: Cluster
spec:
  network: {provider: flannel, backend: vxlan}
  nodes:
  - {name: n1}
  - {name: n2, sysctls: {net.ipv4.ip_forward: 1}}
"""
POD = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: i}]}}"
KIND = "{kind: Cluster, apiVersion: kind.x-k8s.io/v1alpha4, nodes: [{role: control-plane}]}"


def spec(text: str, *settings: str) -> ClusterSpec:
    """Return the cluster that a document describes with some settings."""
    return load_topology(with_settings(document.parse(text, "in.yaml"), settings)).cluster


def refused(text: str, *settings: str) -> str:
    """Return the faults of settings."""
    with pytest.raises(DocumentError) as caught:
        spec(text, *settings)
    return str(caught.value)


class TestWhereItLeads:
    """A key is a way into the document's spec."""

    def test_a_value_is_replaced(self) -> None:
        """What was there is no more."""
        assert spec(CLUSTER, "network.provider=kubenet", "network.backend=null").network.provider == "kubenet"

    def test_what_is_missing_on_the_way_is_made(self) -> None:
        """A document without `kubeProxy` gets one."""
        assert spec(CLUSTER, "kubeProxy.iptables.masqueradeAll=true").proxy.masquerade_all

    @pytest.mark.parametrize("key", ["kubeProxy.mode", "spec.kubeProxy.mode"])
    def test_the_spec_may_be_said(self, key: str) -> None:
        """Nobody need remember where the way begins."""
        assert spec(CLUSTER, f"{key}=none").proxy.mode == "none"

    @pytest.mark.parametrize("node", ["[1]", "[n2]", "['n2']"])
    def test_an_item_is_named_by_number_or_name(self, node: str) -> None:
        """A node has a name, and people know it."""
        found = spec(CLUSTER, f"nodes{node}.zone=a")
        assert [each.zone for each in found.nodes] == ["", "a"]

    @pytest.mark.parametrize("key", ["net.ipv4.ip_forward", "['net.ipv4.ip_forward']"])
    def test_a_sysctl_has_dots(self, key: str) -> None:
        """Behind `sysctls` the rest of the key is one name."""
        dot = "" if key.startswith("[") else "."
        found = spec(CLUSTER, f"nodes[n2].sysctls{dot}{key}=0")
        assert found.nodes[1].sysctls == {"net.ipv4.ip_forward": "0"}

    def test_a_value_is_yaml(self) -> None:
        """Lists and mappings can be given whole."""
        found = spec(CLUSTER, "nodes=[{name: x}, {name: y}]", 'kubernetes="1.33"')
        assert [each.name for each in found.nodes] == ["x", "y"]
        assert found.kubernetes == "1.33"

    def test_null_takes_a_key_away(self) -> None:
        """The default is back."""
        assert spec(CLUSTER, "network=null").network.provider == "kindnet"

    def test_a_document_is_made_where_there_is_none(self) -> None:
        """Manifests alone can be tried with another provider."""
        found = load_topology(with_settings(document.parse(POD, "in.yaml"), ["network.provider=flannel"]))
        assert found.cluster.network.provider == "flannel"
        assert len(found.objects) == 1

    def test_kinds_own_file_has_its_own_keys(self) -> None:
        """They are at the top of the document."""
        assert str(spec(KIND, "networking.podSubnet=10.0.0.0/16").pod_cidr) == "10.0.0.0/16"

    def test_the_documents_stay_as_they_are(self) -> None:
        """What is compared with comes from the same documents."""
        documents = document.parse(CLUSTER, "in.yaml")
        with_settings(documents, ["network.provider=kubenet", "network.backend=null", "nodes[n2].zone=a"])
        assert documents == document.parse(CLUSTER, "in.yaml")


class TestWhatIsRefused:
    """Every fault is told, with what was meant."""

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ("network.provder=flannel", "did you mean 'provider'?"),
            ("kubeProxi.mode=none", "$.spec.kubeProxi: unknown key; did you mean 'kubeProxy'?"),
            ("kubeProxy.mode=iptable", "did you mean 'iptables'?"),
            ("nodes[n3].zone=a", "[n3]: none is called so"),
            ("nodes[7].zone=a", "[7]: there are 2, counted from 0"),
            ("network[0]=a", "[0] is for a list, and there is none"),
            ("seed.x=1", "$.spec.seed: must be a whole number"),
            ("network", "must be KEY=VALUE"),
            ("=x", "must be KEY=VALUE"),
            ("a..b=x", "is no way to a value"),
            ("spec=x", "must be KEY=VALUE, with a key"),
            ("seed=[", "is no YAML"),
        ],
    )
    def test_a_wrong_setting(self, setting: str, says: str) -> None:
        """The fault names the setting."""
        found = refused(CLUSTER, setting)
        assert f"--set {setting}" in found
        assert says in found

    def test_all_are_told(self) -> None:
        """One go is enough to mend them."""
        found = refused(CLUSTER, "network.provder=flannel", "nodes[n3].zone=a")
        assert "provder" in found
        assert "n3" in found
