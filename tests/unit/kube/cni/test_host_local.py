# SPDX-License-Identifier: GPL-2.0-only
"""host-local: which address comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube import cni
from tests.unit.kube.cni.lab import Node, network

if TYPE_CHECKING:
    from emu.kube.cni.fields import Json

STORE = "/var/lib/cni/networks/net"


def config(*sets: list[Json], **options: Json) -> cni.NetConfList:
    """Return a network of host-local alone."""
    ipam: Json = {"type": "host-local", "ranges": list(sets), **options}
    return network({"type": "host-local", "ipam": ipam})


def small() -> cni.NetConfList:
    """Return a network of five addresses, .2 to .6."""
    return config([{"subnet": "10.0.0.0/29"}])


def give(node: Node, conf: cni.NetConfList, name: str) -> str:
    """Return the address that container `name` gets."""
    return str(cni.add(conf, node.call(name)).ips[0].address)


def take(node: Node, conf: cni.NetConfList, name: str) -> None:
    """Give the address of container `name` back."""
    cni.delete(conf, node.call(name))


def test_the_first_address_is_behind_the_gateway() -> None:
    """.1 is the gateway, .2 the first pod; both are told, with the range's mask."""
    node = Node()
    result = cni.add(config([{"subnet": "10.244.1.0/24"}]), node.call())
    assert result.as_json("1.0.0")["ips"] == [{"address": "10.244.1.2/24", "gateway": "10.244.1.1"}]
    assert node.disk[f"{STORE}/10.244.1.2"] == f"{node.call().container_id}\r\neth0"
    assert node.disk[f"{STORE}/last_reserved_ip.0"] == "10.244.1.2"


def test_an_address_that_is_given_back_comes_last() -> None:
    """Only after the others of the range were given."""
    node, conf = Node(), small()
    assert [give(node, conf, name) for name in "ab"] == ["10.0.0.2/29", "10.0.0.3/29"]
    take(node, conf, "a")
    assert [give(node, conf, name) for name in "cdef"] == [f"10.0.0.{n}/29" for n in (4, 5, 6, 2)]


def test_a_full_range_says_so() -> None:
    """In the plugin's words, with the range from the gateway on; nothing is left behind."""
    node, conf = Node(), small()
    for name in "abcde":
        give(node, conf, name)
    with pytest.raises(cni.CniError) as caught:
        give(node, conf, "f")
    assert str(caught.value) == (
        "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6"
    )
    take(node, conf, "c")
    assert give(node, conf, "f") == "10.0.0.4/29"


def test_a_slash_24_has_room_for_253() -> None:
    """All but network, gateway and broadcast address."""
    node, conf = Node(), config([{"subnet": "10.244.1.0/24"}])
    assert [give(node, conf, str(n)) for n in range(253)][-1] == "10.244.1.254/24"
    with pytest.raises(cni.CniError, match="no IP addresses available"):
        give(node, conf, "late")


def test_the_same_attachment_twice_is_refused() -> None:
    """Another device of the same container is another attachment."""
    node, conf = Node(), small()
    give(node, conf, "a")
    with pytest.raises(cni.CniError, match=r"10\.0\.0\.2 has been allocated to \w+, duplicate allocation"):
        give(node, conf, "a")
    assert str(cni.add(conf, node.call("a", ifname="net1")).ips[0].address) == "10.0.0.3/29"


def test_files_are_all_that_is_remembered() -> None:
    """What somebody writes or removes counts; a reboot that clears them starts over."""
    node, conf = Node(), small()
    give(node, conf, "a")
    node.disk[f"{STORE}/10.0.0.3"] = "somebody\r\neth0"
    assert give(node, conf, "b") == "10.0.0.4/29"
    del node.disk[f"{STORE}/10.0.0.2"]
    assert give(node, conf, "a") == "10.0.0.5/29"
    node.disk.forget_below("/var/lib/cni")
    assert give(node, conf, "c") == "10.0.0.2/29"


def test_one_address_of_each_set() -> None:
    """Each set remembers its own last one."""
    node = Node()
    conf = config([{"subnet": "10.0.0.0/29"}], [{"subnet": "10.0.1.0/29", "rangeStart": "10.0.1.5"}])
    assert [str(ip.address) for ip in cni.add(conf, node.call()).ips] == ["10.0.0.2/29", "10.0.1.5/29"]
    assert node.disk[f"{STORE}/last_reserved_ip.1"] == "10.0.1.5"


def test_the_ranges_of_a_set_follow_each_other() -> None:
    """The second begins where the first ends."""
    node = Node()
    ranges: list[Json] = [
        {"subnet": "10.0.0.0/29", "rangeStart": "10.0.0.6"},
        {"subnet": "10.0.1.0/29", "rangeEnd": "10.0.1.2"},
    ]
    conf = config(ranges)
    assert [give(node, conf, name) for name in "ab"] == ["10.0.0.6/29", "10.0.1.2/29"]
    with pytest.raises(cni.CniError, match=r"set: 10\.0\.0\.6-10\.0\.0\.6,10\.0\.1\.1-10\.0\.1\.2$"):
        give(node, conf, "c")


@pytest.mark.parametrize("how", ["args", "option", "capability"])
def test_an_address_that_is_asked_for_is_given(how: str) -> None:
    """By CNI_ARGS, `args` or `runtimeConfig`; the gateway and a taken one are refused."""
    node = Node()

    def ask(name: str, address: str) -> str:
        plugin: dict[str, Json] = {
            "type": "host-local",
            "capabilities": {"ips": True},
            "ipam": {"type": "host-local", "subnet": "10.0.0.0/29"},
        }
        if how == "option":
            plugin["args"] = {"cni": {"ips": [address]}}
        call = node.call(
            name,
            args={"IP": address} if how == "args" else {},
            capabilities={"ips": [address]} if how == "capability" else {},
        )
        return str(cni.add(network(plugin), call).ips[0].address)

    assert ask("a", "10.0.0.4") == "10.0.0.4/29"
    with pytest.raises(cni.CniError, match=r"requested IP address 10\.0\.0\.4 is not available"):
        ask("b", "10.0.0.4")
    with pytest.raises(cni.CniError, match=r"requested ip 10\.0\.0\.1 is subnet's gateway"):
        ask("b", "10.0.0.1")
    with pytest.raises(cni.CniError, match=r"failed to allocate all requested IPs: 172\.16\.0\.9"):
        ask("b", "172.16.0.9")
    assert f"{STORE}/10.0.0.5" not in node.disk


def test_delete_is_idempotent_and_check_knows() -> None:
    """DEL twice is no mistake; CHECK after it is."""
    node, conf = Node(), small()
    give(node, conf, "a")
    cni.check(conf, node.call("a"))
    del node.disk[f"{STORE}/10.0.0.2"]
    with pytest.raises(cni.CniError, match="Failed to find address added by container"):
        cni.check(conf, node.call("a"))
    take(node, conf, "a")
    take(node, conf, "a")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"subnet": "10.0.0.0/31"}, "too small to allocate from"),
        ({"subnet": "10.244.1.1/24"}, "Network has host bits set"),
        ({"subnet": "10.0.0.0/29", "rangeStart": "10.1.0.1"}, "RangeStart 10.1.0.1 not in network"),
        ({"subnet": "x"}, "is no address with prefix length"),
        ({}, "subnet: is missing"),
    ],
)
def test_a_wrong_range_is_refused(spec: dict[str, Json], message: str) -> None:
    """By name, with the specification's code 7."""
    with pytest.raises(cni.CniError, match=message) as caught:
        cni.add(config([spec]), Node().call())
    assert caught.value.code == cni.ErrorCode.INVALID_NETWORK_CONFIG


def test_names_are_resolved_as_the_nodes_file_says() -> None:
    """`resolvConf` fills `dns`."""
    node = Node()
    node.disk["/etc/resolv.conf"] = "nameserver 10.96.0.10\nsearch a b\noptions ndots:5\n"
    result = cni.add(config([{"subnet": "10.0.0.0/29"}], resolvConf="/etc/resolv.conf"), node.call())
    assert result.dns == cni.Dns(("10.96.0.10",), search=("a", "b"), options=("ndots:5",))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=30))
def test_the_order_is_that_of_a_slow_obvious_model(steps: list[tuple[bool, int]]) -> None:
    """Begin behind the last one, go up, wrap, skip what is taken."""
    node, conf = Node(), small()
    taken: dict[str, int] = {}
    last = 1
    for wants, number in steps:
        name = str(number)
        if not wants:
            take(node, conf, name)
            taken.pop(name, None)
            continue
        order = [(last - 2 + step) % 5 + 2 for step in range(1, 6)]
        free = [address for address in order if address not in taken.values()]
        if name in taken or not free:
            with pytest.raises(cni.CniError):
                give(node, conf, name)
        else:
            assert give(node, conf, name) == f"10.0.0.{free[0]}/29"
            taken[name] = last = free[0]
