# SPDX-License-Identifier: GPL-2.0-only
"""What ADD answers: interfaces, addresses, routes, and how to resolve names.

Source: CNI specification 1.1.0, section 5, and the older ones for what differs:

    0.1.0, 0.2.0    `ip4` and `ip6` objects, no interfaces
    0.3.x, 0.4.0    each of `ips` has a `version`
    1.0.0           it has not
    1.1.0           interfaces may have an `mtu`, routes `mtu`, `advmss`, `priority`, `table`, `scope`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.fields import Fields, Json
from emu.kube.cni.netconf import VERSIONS
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from emu.wire.addresses import Interface, IpAddress, MacAddress

_WITHOUT_INTERFACES: Final = frozenset({"0.1.0", "0.2.0"})
_WITH_VERSION: Final = frozenset({"0.3.0", "0.3.1", "0.4.0"})
_FIRST_WITH_MTU: Final = "1.1.0"


@attrs.frozen
class ResultInterface:
    """A device that a plugin made.

    `mac` is None where there is none to tell; `sandbox` is the path of its
    namespace, empty for the host's; `mtu` 0 is not told.
    """

    name: str
    mac: MacAddress | None = None
    sandbox: str = ""
    mtu: int = 0


@attrs.frozen
class IpConfig:
    """An address. `interface` is the index of the device that has it, None in an IPAM plugin's result."""

    address: Interface
    gateway: IpAddress | None = None
    interface: int | None = None


@attrs.frozen
class RouteConfig:
    """A route in the container. What is 0 or None is not told; `gateway` None means the address's own."""

    dst: Prefix
    gateway: IpAddress | None = None
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int | None = None
    scope: int | None = None


@attrs.frozen
class Dns:
    """How to resolve names; nobody but the result's reader uses it."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Return what an object says."""
        return cls(
            fields.texts("nameservers"),
            fields.text("domain"),
            fields.texts("search"),
            fields.texts("options"),
        )

    def as_json(self) -> dict[str, Json]:
        """Return the object, without what is empty."""
        found: dict[str, Json] = {}
        if self.nameservers:
            found["nameservers"] = list(self.nameservers)
        if self.domain:
            found["domain"] = self.domain
        if self.search:
            found["search"] = list(self.search)
        if self.options:
            found["options"] = list(self.options)
        return found


NO_DNS: Final = Dns()


@attrs.frozen
class Result:
    """The result of ADD, independent of the version it is told in."""

    interfaces: tuple[ResultInterface, ...] = ()
    ips: tuple[IpConfig, ...] = ()
    routes: tuple[RouteConfig, ...] = ()
    dns: Dns = NO_DNS

    def addresses_of(self, ifname: str) -> tuple[Interface, ...]:
        """Return the addresses of the container's device `ifname`, in their order."""
        places = {
            place
            for place, each in enumerate(self.interfaces)
            if each.name == ifname and (each.sandbox or len(self.interfaces) == 1)
        }
        return tuple(ip.address for ip in self.ips if ip.interface in places)

    # --- out ---

    def as_json(self, version: str) -> dict[str, Json]:
        """Return the object that a caller of `version` reads.

        Raises:
            CniError: there is no such version (code 1).
        """
        if version not in VERSIONS:
            raise CniError(f"unsupported CNI result version {version!r}", ErrorCode.INCOMPATIBLE_VERSION)
        found: dict[str, Json] = {"cniVersion": version}
        if version in _WITHOUT_INTERFACES:
            found |= self._families()
        else:
            if self.interfaces:
                with_mtu = version == _FIRST_WITH_MTU
                found["interfaces"] = [_interface(each, with_mtu=with_mtu) for each in self.interfaces]
            if self.ips:
                found["ips"] = [_ip(each, with_version=version in _WITH_VERSION) for each in self.ips]
            if self.routes:
                found["routes"] = [_route(each, version) for each in self.routes]
        return found | {"dns": self.dns.as_json()}

    def text(self, version: str) -> str:
        """Return the same as a plugin prints it."""
        return json.dumps(self.as_json(version), indent=4)

    def _families(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for ip in self.ips:
            family = ip.address.address.family
            entry: dict[str, Json] = {"ip": str(ip.address)}
            if ip.gateway is not None:
                entry["gateway"] = str(ip.gateway)
            routes: list[Json] = [
                _route(route, "0.2.0") for route in self.routes if route.dst.address.family == family
            ]
            if routes:
                entry["routes"] = routes
            found.setdefault(f"ip{family}", entry)
        return found

    # --- in ---

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a result from JSON.

        Raises:
            CniError: it is none (code 6), or of an unknown version (code 1).
        """
        try:
            value: Json = json.loads(text)
        except json.JSONDecodeError as error:
            raise CniError(f"no JSON: {error}", ErrorCode.DECODING_FAILURE) from None
        if not isinstance(value, dict):
            raise CniError("a result must be an object", ErrorCode.DECODING_FAILURE)
        return cls.of(value)

    @classmethod
    def of(cls, value: dict[str, Json]) -> Self:
        """Return the result that an object tells.

        Raises:
            CniError: it is wrong (code 6), or of an unknown version (code 1).
        """
        fields = Fields(value)
        version = fields.text("cniVersion", "0.1.0")
        if version not in VERSIONS:
            raise CniError(f"unsupported CNI result version {version!r}", ErrorCode.INCOMPATIBLE_VERSION)
        interfaces: tuple[ResultInterface, ...] = ()
        if version in _WITHOUT_INTERFACES:
            families = [fields.object(key) for key in ("ip4", "ip6") if key in value]
            ips = tuple(_read_ip(each, "ip") for each in families)
            routes = tuple(read_route(route) for each in families for route in each.objects("routes"))
        else:
            interfaces = tuple(_read_interface(each) for each in fields.objects("interfaces"))
            ips = tuple(_read_ip(each, "address") for each in fields.objects("ips"))
            routes = tuple(read_route(each) for each in fields.objects("routes"))
        dns = Dns.read(fields.object("dns"))
        if fields.faults:
            raise CniError("; ".join(map(str, fields.faults)), ErrorCode.DECODING_FAILURE)
        return cls(
            interfaces,
            tuple(each for each in ips if each is not None),
            tuple(each for each in routes if each is not None),
            dns,
        )


def _interface(each: ResultInterface, *, with_mtu: bool) -> dict[str, Json]:
    found: dict[str, Json] = {"name": each.name}
    if each.mac is not None:
        found["mac"] = str(each.mac)
    if each.mtu and with_mtu:
        found["mtu"] = each.mtu
    if each.sandbox:
        found["sandbox"] = each.sandbox
    return found


def _ip(each: IpConfig, *, with_version: bool) -> dict[str, Json]:
    found: dict[str, Json] = {"version": str(each.address.address.family)} if with_version else {}
    if each.interface is not None:
        found["interface"] = each.interface
    found["address"] = str(each.address)
    if each.gateway is not None:
        found["gateway"] = str(each.gateway)
    return found


def _route(each: RouteConfig, version: str) -> dict[str, Json]:
    found: dict[str, Json] = {"dst": str(each.dst)}
    if each.gateway is not None:
        found["gw"] = str(each.gateway)
    if version == _FIRST_WITH_MTU:
        numbers = {"mtu": each.mtu, "advmss": each.advmss, "priority": each.priority}
        found |= {key: number for key, number in numbers.items() if number}
        if each.table is not None:
            found["table"] = each.table
        if each.scope is not None:
            found["scope"] = each.scope
    return found


def _read_interface(fields: Fields) -> ResultInterface:
    return ResultInterface(
        fields.text("name"), fields.mac("mac"), fields.text("sandbox"), fields.number("mtu")
    )


def _read_ip(fields: Fields, key: str) -> IpConfig | None:
    address = fields.interface(key)
    if address is None:
        fields.wrong(key, "is missing")
        return None
    interface = fields.number("interface") if fields.values.get("interface") is not None else None
    return IpConfig(address, fields.address("gateway"), interface)


def read_route(fields: Fields) -> RouteConfig | None:
    """Return the route that an object of a result or a configuration describes; None after a fault."""
    dst = fields.interface("dst")
    if dst is None:
        fields.wrong("dst", "is missing")
        return None
    return RouteConfig(
        Prefix.of(dst.address, dst.length),
        fields.address("gw"),
        fields.number("mtu"),
        fields.number("advmss"),
        fields.number("priority"),
        fields.number("table") if "table" in fields.values else None,
        fields.number("scope") if "scope" in fields.values else None,
    )
