# SPDX-License-Identifier: GPL-2.0-only
"""Running a list: order, what each plugin is told, what is remembered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest

from emu.kube import cni
from emu.kube.cni.call import Invocation, parse_args
from tests.unit.kube.cni.lab import Node, bridge, network

if TYPE_CHECKING:
    from emu.kube.cni.fields import Json


@attrs.define
class Spy:
    """A plugin that notes how it is called.

    Attributes:
        name: written to the log.
        log: operations, shared.
        stdins: what it read.
        failure: what it raises.
    """

    name: str
    log: list[str]
    stdins: list[dict[str, Json]] = attrs.field(factory=list)
    failure: cni.CniError | None = None

    def _note(self, what: str, given: Invocation) -> None:
        self.log.append(f"{what} {self.name}")
        self.stdins.append(json.loads(given.stdin()))
        if self.failure is not None:
            raise self.failure

    def add(self, given: Invocation) -> cni.Result:
        """Note it."""
        self._note("add", given)
        return cni.Result((cni.ResultInterface(self.name),))

    def delete(self, given: Invocation) -> None:
        """Note it."""
        self._note("del", given)

    def check(self, given: Invocation) -> None:
        """Note it."""
        self._note("check", given)

    def status(self, given: Invocation) -> None:
        """Note it."""
        self._note("status", given)

    def gc(self, given: Invocation) -> None:
        """Note it."""
        self._note("gc", given)


class TestSpies:
    """With plugins that do nothing."""

    def setup_method(self) -> None:
        """Make a list of two."""
        self.log: list[str] = []
        self.one, self.two = Spy("one", self.log), Spy("two", self.log)
        self.plugins = {"one": self.one, "two": self.two}
        self.node = Node()
        self.conf = network(
            {"type": "one", "x": 1}, {"type": "two", "capabilities": {"mac": True}}, version="1.1.0"
        )

    def test_add_goes_forward_and_delete_back(self) -> None:
        """CHECK forward, as ADD."""
        call = self.node.call()
        cni.add(self.conf, call, plugins=self.plugins)
        cni.check(self.conf, call, plugins=self.plugins)
        cni.status(self.conf, call, plugins=self.plugins)
        cni.delete(self.conf, call, plugins=self.plugins)
        assert self.log == [
            *("add one", "add two", "check one", "check two", "status one", "status two"),
            *("del two", "del one"),
        ]

    def test_each_reads_its_own_part_with_the_networks_name_and_the_result_before(self) -> None:
        """Only who asks gets what the runtime has; `capabilities` itself is not passed on."""
        call = self.node.call(capabilities={"mac": "02:00:00:00:00:01", "ips": []})
        cni.add(self.conf, call, plugins=self.plugins)
        assert self.one.stdins == [{"type": "one", "x": 1, "cniVersion": "1.1.0", "name": "net"}]
        assert self.two.stdins == [
            {
                "type": "two",
                "cniVersion": "1.1.0",
                "name": "net",
                "runtimeConfig": {"mac": "02:00:00:00:00:01"},
                "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "one"}], "dns": {}},
            }
        ]

    def test_the_final_result_is_kept_for_delete(self) -> None:
        """In a file, as libcni's; afterwards it is gone."""
        call = self.node.call()
        cni.add(self.conf, call, plugins=self.plugins)
        path = f"/var/lib/cni/results/net-{call.container_id}-eth0"
        assert json.loads(self.node.disk[path])["result"]["interfaces"] == [{"name": "two"}]
        cni.delete(self.conf, call, plugins=self.plugins)
        assert self.one.stdins[-1]["prevResult"] == self.two.stdins[-1]["prevResult"]
        assert path not in self.node.disk

    def test_an_old_version_tells_delete_nothing_and_has_no_check(self) -> None:
        """Both came with 0.4.0."""
        conf, call = network({"type": "one"}, version="0.3.1"), self.node.call()
        cni.add(conf, call, plugins=self.plugins)
        cni.delete(conf, call, plugins=self.plugins)
        assert "prevResult" not in self.one.stdins[-1]
        with pytest.raises(cni.CniError, match="does not support CHECK"):
            cni.check(conf, call, plugins=self.plugins)

    def test_the_first_failure_ends_add(self) -> None:
        """The second is not asked, nothing is kept."""
        self.one.failure = cni.CniError("no", 11)
        with pytest.raises(cni.CniError, match="no"):
            cni.add(self.conf, self.node.call(), plugins=self.plugins)
        assert (self.log, list(self.node.disk)) == (["add one"], [])

    def test_gc_deletes_what_is_not_in_use_and_goes_on_after_failures(self) -> None:
        """First by DEL, then each plugin is asked."""
        for name in "ab":
            cni.add(self.conf, self.node.call(name), plugins=self.plugins)
        self.log.clear()
        self.one.failure = cni.CniError("no")
        valid = [(self.node.call("a").container_id, "eth0")]
        with pytest.raises(cni.CniError, match="no\nno"):
            cni.gc(self.conf, self.node.call("a"), valid, plugins=self.plugins)
        assert self.log == ["del two", "del one", "gc one", "gc two"]

    def test_a_plugin_that_is_not_there_is_named(self) -> None:
        """With the path where it was looked for."""
        with pytest.raises(cni.CniError, match=r'failed to find plugin "three" in path \[/opt/cni/bin\]'):
            cni.add(network({"type": "three"}), self.node.call(), plugins=self.plugins)

    @pytest.mark.parametrize("ifname", ["", ".", "a/b", "a b", "a" * 16])
    def test_a_wrong_name_of_a_device_is_refused(self, ifname: str) -> None:
        """Code 4, before any plugin is asked."""
        with pytest.raises(cni.CniError) as caught:
            cni.add(self.conf, self.node.call(ifname=ifname), plugins=self.plugins)
        assert (caught.value.code, self.log) == (4, [])

    def test_add_needs_a_namespace(self) -> None:
        """DEL does not."""
        call = attrs.evolve(self.node.call(), sandbox=None)
        with pytest.raises(cni.CniError, match="CNI_NETNS"):
            cni.add(self.conf, call, plugins=self.plugins)
        cni.delete(self.conf, call, plugins=self.plugins)


def test_a_missing_result_fails_check() -> None:
    """ADD was never asked."""
    with pytest.raises(cni.CniError, match="no result of network"):
        cni.check(network(bridge()), Node().call())


def test_status_of_flannel_waits_for_the_daemon() -> None:
    """Code 50 until its file is there."""
    node = Node()
    conf = network({"type": "flannel"}, version="1.1.0")
    with pytest.raises(cni.CniError) as caught:
        cni.status(conf, node.call())
    assert caught.value.code == cni.ErrorCode.PLUGIN_NOT_AVAILABLE
    node.disk["/run/flannel/subnet.env"] = ""
    cni.status(conf, node.call())


def test_loopback_is_set_up() -> None:
    """Its result has the address of `lo`."""
    node = Node()
    call = node.call(ifname="lo")
    result = cni.add(cni.LOOPBACK, call)
    assert [str(ip.address) for ip in result.ips] == ["127.0.0.1/8"]
    assert call.sandbox is not None
    assert call.sandbox.loopback.up
    cni.delete(cni.LOOPBACK, call)
    assert not call.sandbox.loopback.up


def test_cni_args_are_pairs() -> None:
    """As kubelet's runtime gives them."""
    assert parse_args("IgnoreUnknown=1;K8S_POD_NAME=a") == {"IgnoreUnknown": "1", "K8S_POD_NAME": "a"}
    with pytest.raises(cni.CniError, match="invalid key/value pair"):
        parse_args("a")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("FLANNEL_NETWORK=10.244.0.0/16\n", "is missing FLANNEL_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ"),
        (
            "FLANNEL_NETWORK=x\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
            "'x' is no prefix",
        ),
        (
            "FLANNEL_NETWORK=10.0.0.0/8\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=a\nFLANNEL_IPMASQ=true\n",
            "'a' is no MTU",
        ),
    ],
)
def test_a_broken_file_of_flannel_is_named(env: str, message: str) -> None:
    """What is missing, and what makes no sense."""
    node = Node()
    node.disk["/run/flannel/subnet.env"] = env
    with pytest.raises(cni.CniError, match=message):
        cni.add(network({"type": "flannel"}), node.call())


def test_flannel_masquerades_itself_if_its_daemon_does_not() -> None:
    """`ipMasq` is the opposite of FLANNEL_IPMASQ; the object `delegate` goes before."""
    node = Node()
    node.disk["/run/flannel/subnet.env"] = (
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1400\nFLANNEL_IPMASQ=false\n"
    )
    conf = network({"type": "flannel", "delegate": {"mtu": 1300, "bridge": "br9"}})
    cni.add(conf, node.call())
    assert node.net.device("br9").mtu == 1300
    assert len(node.rules()) == 3
    cni.check(conf, node.call())
    cni.delete(conf, node.call())
    assert node.rules() == []
