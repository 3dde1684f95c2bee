# SPDX-License-Identifier: GPL-2.0-only
"""`weave-net`: a container's device becomes a port of the bridge `weave`, on the one segment of all nodes.

    container                              node
    eth0 ------- veth ------- vethweplXXXXXXX --port-- weave ==== the other nodes' bridges

The real plugin asks the daemon on 127.0.0.1:6784 for an address. Here both look at
one file, `STATE`, in which the daemon says which part of the range is this node's, and
at the folder `LEASES`. The lowest free address is given, at once again
when it came back. Known difference: the rules of multicast that it writes into the
container are left out (no groups are modelled).

Source: weaveworks/weave plugin/net/cni.go, net/veth.go, ipam/allocator.go.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kernel import rtnetlink
from emu.kube.cni import container, ipsets
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.links import add_veth, delete_veth
from emu.kube.cni.result import IpConfig, Result, ResultInterface, RouteConfig
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from emu.kube.cni.call import Call, Invocation
    from emu.kube.cni.disk import Disk
    from emu.kube.cni.fields import Fields

STATE: Final = "/var/lib/weave/state.json"
LEASES: Final = "/var/lib/weave/leases"
_CONTAINER: Final = 2  # place of the container's device in the result
_PREFIX: Final = "vethwepl"
_DIGITS: Final = 7  # of the container's id, in the name of its device
_NEIGHBOURS: Final = {"base_reachable_time_ms": 5000, "delay_first_probe_time": 2, "ucast_solicit": 1}


@attrs.frozen
class State:
    """What the daemon of a node says.

    Attributes:
        bridge: the name of the bridge, and its address with the mask of the whole range.
        address: the same.
        last: the highest address that is this node's; the lowest is behind the bridge's.
        mtu: of containers.
        local: the set of the node's own containers.
    """

    bridge: str
    address: Interface
    last: IpAddress
    mtu: int
    local: str

    def text(self) -> str:
        """Return it as it stands in the file."""
        values = {
            "bridge": self.bridge,
            "address": str(self.address),
            "last": str(self.last),
            "mtu": self.mtu,
            "local": self.local,
        }
        return json.dumps(values) + "\n"

    @classmethod
    def of(cls, disk: Disk) -> State:
        """Return what the file on `disk` says.

        Raises:
            CniError: the daemon has not written it yet, or somebody else has (code 11).
        """
        try:
            values = json.loads(disk[STATE])
            address = Interface.parse(values["address"])
            return cls(
                str(values["bridge"]),
                address,
                IpAddress.parse(values["last"]),
                int(values["mtu"]),
                str(values["local"]),
            )
        except KeyError:
            words = "unable to allocate IP address: dial tcp 127.0.0.1:6784: connect: connection refused"
            raise CniError(words, ErrorCode.TRY_AGAIN_LATER) from None
        except (ValueError, TypeError, AddressError) as error:
            raise CniError(f"{STATE}: {error}", ErrorCode.TRY_AGAIN_LATER) from None


def read(fields: Fields) -> bool:
    """Return whether containers may reach themselves by the bridge."""
    return fields.flag("hairpinMode", default=True)


class WeaveNet:
    """The plugin, which gives addresses, too."""

    def add(self, given: Invocation) -> Result:
        """Plug the container into the bridge and give it an address."""
        has_hairpin, call = given.conf.read(read), given.call
        state = State.of(call.disk)
        sandbox = call.require_sandbox()
        address = _lease(call, state)
        name = _PREFIX + call.container_id[:_DIGITS]
        try:
            pair = add_veth(call, mtu=state.mtu, name=name)
        except CniError:
            _give_back(call)
            raise
        bridge = call.host.devices[state.bridge]
        call.fabric.call(call.host, partial(rtnetlink.set_master, device=pair.host, bridge=bridge))
        assert pair.host.port is not None
        pair.host.port.hairpin = has_hairpin
        ips = (IpConfig(Interface(address, state.address.length), state.address.address, _CONTAINER),)
        routes = (RouteConfig(container.DEFAULT, state.address.address),)
        sandbox.sysctl.set(f"net/ipv4/conf/{call.ifname}/arp_notify", 1)
        for key, value in _NEIGHBOURS.items():
            sandbox.sysctl.set(f"net/ipv4/neigh/{call.ifname}/{key}", value)
        call.fabric.call(sandbox, lambda net: container.configure(net, pair.inside, ips, routes))
        ipsets.add(call.host, state.local, address)
        return Result(
            (
                ResultInterface(state.bridge, bridge.mac),
                ResultInterface(name, pair.host.mac),
                ResultInterface(call.ifname, pair.inside.mac, call.path),
            ),
            ips,
            routes,
        )

    def delete(self, given: Invocation) -> None:
        """Give the address back, and delete the container's device."""
        given.conf.read(read)
        call = given.call
        _give_back(call)
        delete_veth(call, _PREFIX + call.container_id[:_DIGITS])

    def check(self, given: Invocation) -> None:
        """Look at the container, and at its device on the bridge."""
        given.conf.read(read)
        container.check_inside(given)
        assert given.previous is not None
        for each in given.previous.interfaces:
            if each.name.startswith(_PREFIX):
                container.check_link(given.call.host, each, "veth")

    def status(self, given: Invocation) -> None:
        """Look whether the daemon is there."""
        State.of(given.call.disk)

    def gc(self, given: Invocation) -> None:
        """Give back the addresses of containers that are gone."""
        kept = {container_id for container_id, _ in given.attachments}
        leases = given.call.disk.directory(LEASES).files
        for name, owner in tuple(leases.items()):
            if str(owner) not in kept:
                del leases[name]


def _lease(call: Call, state: State) -> IpAddress:
    """Give the lowest address of the node's part that is free.

    Raises:
        CniError: there is none.
    """
    leases = call.disk.directory(LEASES).files
    for number in range(int(state.address.address) + 1, int(state.last) + 1):
        address = IpAddress.from_int(number)
        if str(address) not in leases:
            leases[str(address)] = call.container_id
            return address
    raise CniError("unable to allocate IP address: No more addresses available", ErrorCode.TRY_AGAIN_LATER)


def _give_back(call: Call) -> None:
    leases = call.disk.directory(LEASES).files
    try:
        local = State.of(call.disk).local
    except CniError:
        local = ""
    for name, owner in tuple(leases.items()):
        if owner == call.container_id:
            del leases[name]
            ipsets.remove(call.host, local, IpAddress.parse(name))
