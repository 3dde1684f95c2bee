# SPDX-License-Identifier: GPL-2.0-only
"""Results told in every version of the specification, and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.cni import CniError, Dns, IpConfig, Result, ResultInterface, RouteConfig
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

RESULT = Result(
    (
        ResultInterface("cni0", MacAddress.parse("02:00:00:00:00:01")),
        ResultInterface("eth0", MacAddress.parse("02:00:00:00:00:02"), "/var/run/netns/a", 1450),
    ),
    (IpConfig(Interface.parse("10.244.1.2/24"), IpAddress.parse("10.244.1.1"), 1),),
    (RouteConfig(Prefix.parse("0.0.0.0/0"), IpAddress.parse("10.244.1.1"), mtu=1400),),
    Dns(("10.96.0.10",), search=("svc",)),
)


def test_the_newest_version_tells_everything() -> None:
    """MTUs too."""
    assert RESULT.as_json("1.1.0") == {
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": "cni0", "mac": "02:00:00:00:00:01"},
            {"name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 1450, "sandbox": "/var/run/netns/a"},
        ],
        "ips": [{"interface": 1, "address": "10.244.1.2/24", "gateway": "10.244.1.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.244.1.1", "mtu": 1400}],
        "dns": {"nameservers": ["10.96.0.10"], "search": ["svc"]},
    }


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0"])
def test_older_versions_tell_the_family(version: str) -> None:
    """`version` stands beside each address, and no MTU."""
    told = RESULT.as_json(version)
    assert told["ips"] == [
        {"version": "4", "interface": 1, "address": "10.244.1.2/24", "gateway": "10.244.1.1"}
    ]
    assert told["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.244.1.1"}]


def test_the_oldest_versions_have_an_object_a_family() -> None:
    """With the routes in it, and without interfaces."""
    assert RESULT.as_json("0.2.0") == {
        "cniVersion": "0.2.0",
        "ip4": {
            "ip": "10.244.1.2/24",
            "gateway": "10.244.1.1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.244.1.1"}],
        },
        "dns": {"nameservers": ["10.96.0.10"], "search": ["svc"]},
    }


@given(version=st.sampled_from(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]))
def test_what_is_told_is_read_again(version: str) -> None:
    """Told a second time it is the same."""
    again = Result.parse(RESULT.text(version))
    assert again.text(version) == RESULT.text(version)
    assert version != "1.1.0" or again == RESULT


def test_the_oldest_form_is_read() -> None:
    """Address and routes of `ip4`."""
    again = Result.parse(RESULT.text("0.1.0"))
    assert (again.ips[0].address, again.routes[0].dst) == (RESULT.ips[0].address, RESULT.routes[0].dst)


def test_addresses_of_the_containers_device_are_found() -> None:
    """Those that are tied to it."""
    assert RESULT.addresses_of("eth0") == (Interface.parse("10.244.1.2/24"),)
    assert RESULT.addresses_of("cni0") == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [("7", 6), ("{", 6), ('{"cniVersion": "3.0.0"}', 1), ('{"cniVersion": "1.0.0", "ips": [{}]}', 6)],
)
def test_what_is_no_result_is_refused(text: str, code: int) -> None:
    """With the code of the specification."""
    with pytest.raises(CniError) as caught:
        Result.parse(text)
    assert caught.value.code == code


def test_an_unknown_version_cannot_be_told() -> None:
    """Code 1."""
    with pytest.raises(CniError, match="unsupported CNI result version"):
        RESULT.as_json("0.9.0")
