# SPDX-License-Identifier: GPL-2.0-only
"""What is shown of a device, where no recording has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.link.bridge import Bridge
from emu.kernel.link.device import Counters, Device
from emu.kernel.link.dummy import Dummy
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Df, Vxlan
from emu.tools.ip.link_details import put_details
from emu.tools.ip.link_text import flags, operstate, put_counters
from emu.tools.ip.record import Record
from emu.wire.addresses import IpAddress, MacAddress
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from emu.kernel.link.device import Link

MAC = MacAddress.parse("02:00:00:00:00:01")


def device(link: Link, index: int = 2, *, peer: int = 0, up: bool = True, carrier: bool = True) -> Device:
    """Return a device."""
    return Device(f"dev{index}", index, MAC, link, up=up, carrier=carrier, peer_index=peer)


def test_columns_of_counters_are_as_wide_as_their_largest_number() -> None:
    """The first as iproute2 6.1.0 printed it; a wide number widens the column of both directions."""
    record = Record()
    put_counters(record, Counters(28, 1905, 0, 14, 844, 0))
    assert record.text.splitlines() == [
        "    RX:  bytes packets errors dropped  missed   mcast           ",
        "          1905      28      0       0       0       0 ",
        "    TX:  bytes packets errors dropped carrier collsns           ",
        "           844      14      0       0       0       0 ",
    ]
    record = Record()
    put_counters(record, Counters(12345678, 123456789012, 3, 1, 2, 123456789))
    assert record.text.splitlines() == [
        "    RX:    bytes  packets errors   dropped  missed   mcast           ",
        "    123456789012 12345678      0         3       0       0 ",
        "    TX:    bytes  packets errors   dropped carrier collsns           ",
        "               2        1      0 123456789       0       0 ",
    ]


@pytest.mark.parametrize(
    ("up", "carrier", "state", "shown"),
    [
        (True, True, "UP", ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]),
        (True, False, "DOWN", ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"]),
        (False, True, "DOWN", ["BROADCAST", "MULTICAST"]),
        (False, False, "DOWN", ["BROADCAST", "MULTICAST"]),
    ],
)
def test_the_state_follows_from_up_and_carrier(up: bool, carrier: bool, state: str, shown: list[str]) -> None:  # noqa: FBT001 - columns
    """A device that is down says nothing of its carrier."""
    one = device(Bridge(), up=up, carrier=carrier)
    assert operstate(one, {one.name: one}) == state
    assert flags(one) == shown
    one.arp = False
    assert "NOARP" in flags(one)


def test_a_veth_is_down_for_the_sake_of_one_that_has_its_peers_index_here() -> None:
    """That one has no carrier either: `LOWERLAYERDOWN`; in all other cases `DOWN`."""
    one = device(Veth(), 3, peer=2, carrier=False)
    other = device(Bridge(), 2, carrier=False)
    devices = {each.name: each for each in (other, one)}
    assert operstate(one, devices) == "LOWERLAYERDOWN"
    other.carrier = True
    assert operstate(one, devices) == "DOWN"
    assert operstate(one, {one.name: one}) == "DOWN"


@pytest.mark.parametrize("link", [Dummy(), Vxlan(Vni(1))])
def test_nobody_tells_a_tunnel_of_a_carrier(link: Link) -> None:
    """Its state is unknown while it is up; a device of any other kind knows."""
    one = device(link)
    assert operstate(one, {}) == ("UNKNOWN" if isinstance(link, Vxlan) else "UP")


def test_settings_of_a_vxlan_device_are_shown_where_they_are_no_default() -> None:
    """Words of iproute2 6.1: `tos`, `df`, `ttl`, the range of source ports, `noudpcsum`."""
    link = Vxlan(
        Vni(7),
        local=IpAddress.parse("10.0.0.1"),
        tos=16,
        df=Df.SET,
        ttl_inherit=True,
        udpcsum=False,
        source_ports=(4000, 5000),
    )
    record = Record()
    put_details(record, device(link), is_link=True)
    assert (
        "vxlan id 7 local 10.0.0.1 srcport 4000 5000 dstport 8472 tos 0x10 ttl inherit df set ageing 300 "
        "noudpcsum noudp6zerocsumtx noudp6zerocsumrx "
    ) in record.text
    record = Record()
    put_details(record, device(Vxlan(Vni(7), tos_inherit=True, df=Df.INHERIT)), is_link=True)
    assert "vxlan id 7 srcport 0 0 dstport 8472 tos inherit ttl auto df inherit ageing 300 " in record.text


def test_a_mask_of_groups_is_hexadecimal() -> None:
    """Nothing forwarded is a plain 0."""
    for mask, shown in ((0, "group_fwd_mask 0 "), (0x4008, "group_fwd_mask 0x4008 ")):
        record = Record()
        put_details(record, device(Bridge(group_fwd_mask=mask)), is_link=True)
        assert shown in record.text
