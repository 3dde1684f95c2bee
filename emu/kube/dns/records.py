# SPDX-License-Identifier: GPL-2.0-only
"""The records of a cluster: a question and what there is in, an answer out.

Source: the specification of DNS-based service discovery 1.1.0; coredns
plugin/kubernetes/{kubernetes,parse,reverse,ns,handler}.go, plugin/backend_lookup.go.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import AddressError
from emu.kube.controller import Key
from emu.kube.dns.reverse import address_of
from emu.kube.dns.settings import fqdn, is_below
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects import Service
    from emu.kube.dns.directory import Backend, Directory
    from emu.kube.dns.settings import Kubernetes

VERSION: Final = "1.1.0"
"""Of the specification, as `dns-version` tells."""

_VERSION_TTL: Final = 28800
_MOST_ALIASES: Final = 8
_NAME_SERVER: Final = "ns.dns."


class Record(NamedTuple):
    """A record; `data` as a zone file has it."""

    name: str
    kind: str
    ttl: int
    data: str


class Outcome(enum.Enum):
    """What is known of a name."""

    FOUND = "NOERROR"
    NODATA = "NODATA"
    NXDOMAIN = "NXDOMAIN"
    NOT_OURS = "not ours"


class Answer(NamedTuple):
    """What is answered.

    Attributes:
        outcome: whether there is such a name, and something of the kind asked for.
        zone: the zone that the name is in; empty if it is in none.
        records: the answer.
        additional: addresses of what the answer names.
        outside: a name outside the zone that the last alias leads to: ask for it elsewhere,
            and leave the aliases out if that fails.
    """

    outcome: Outcome
    zone: str = ""
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    outside: str = ""


class _Target(NamedTuple):
    """Something that a name leads to: an address, or for an ExternalName another name."""

    name: str  # of its own
    host: str
    kind: str  # A, AAAA, CNAME
    port: int = 0


class _NoSuchNameError(Exception):
    """NXDOMAIN."""


def answer(
    name: str, kind: str, settings: Kubernetes, directory: Directory, own: Sequence[str] = ()
) -> Answer:
    """Return what the plugin `kubernetes` answers.

    Args:
        name: asked for, with its final dot; its letters come back as they are.
        kind: of record, such as `SRV`.
        settings: of the plugin.
        directory: what there is.
        own: addresses of the server, for the records of the zone's name server.
    """
    zone = max((each for each in settings.zones if is_below(name, each)), key=len, default="")
    if not zone:
        return Answer(Outcome.NOT_OURS)
    return _Zone(zone, settings, directory, own).answer(name, kind)


def soa(zone: str, settings: Kubernetes, directory: Directory) -> Record:
    """Return the SOA of a zone, which goes with every negative answer."""
    ttl = settings.ttl
    data = f"ns.dns.{zone} hostmaster.{zone} {directory.serial} 7200 1800 86400 {ttl}"
    return Record(zone, "SOA", min(ttl, 300), data)


class _Zone:
    """One zone, asked one question."""

    def __init__(self, zone: str, settings: Kubernetes, directory: Directory, own: Sequence[str]) -> None:
        self._zone = zone
        self._settings = settings
        self._directory = directory
        self._own = own

    def answer(self, name: str, kind: str) -> Answer:
        try:
            found = self._ask(name, kind)
        except _NoSuchNameError:
            return Answer(Outcome.NXDOMAIN, self._zone)
        return found if found.records else Answer(Outcome.NODATA, self._zone)

    def _ask(self, name: str, kind: str) -> Answer:
        asked = name.lower()
        match kind:
            case "A" | "AAAA":
                return self._addresses(name, kind)
            case "SRV":
                return self._services(name)
            case "TXT":
                is_version = asked == f"dns-version.{self._zone}"
                return self._found((Record(name, "TXT", _VERSION_TTL, f'"{VERSION}"'),) if is_version else ())
            case "CNAME":
                first = next(iter(self._targets(asked)), None)
                alias = first is not None and first.kind == "CNAME"
                return self._found(
                    (self._record(name, "CNAME", fqdn(first.host)),) if alias and first else ()
                )
            case "PTR":
                return self._found(tuple(self._pointers(name)))
            case "SOA":
                return self._found((soa(self._zone, self._settings, self._directory),))
            case "NS" if asked == self._zone:
                return self._name_servers(name)
            case _:
                self._targets(asked)  # whether there is such a name
                return self._found(())

    def _found(self, records: tuple[Record, ...], additional: tuple[Record, ...] = ()) -> Answer:
        return Answer(Outcome.FOUND, self._zone, records, additional)

    def _record(self, name: str, kind: str, data: str) -> Record:
        return Record(name, kind, self._settings.ttl, data)

    # --- addresses ---

    def _addresses(self, name: str, kind: str) -> Answer:
        """Return the addresses of a name, behind the aliases that lead to them."""
        aliases: list[Record] = []
        asked = name
        while True:
            targets = self._targets(asked.lower()) if asked == name else self._targets_or_none(asked)
            alias = next((each for each in targets if each.kind == "CNAME"), None)
            if alias is None:
                found = [self._record(asked, kind, each.host) for each in targets if each.kind == kind]
                records = tuple(dict.fromkeys(found))
                return self._found((*aliases, *records) if records else ())
            target = fqdn(alias.host)
            known = {each.name.lower() for each in aliases} | {asked.lower()}
            if target in known or len(aliases) >= _MOST_ALIASES:
                return self._found(())
            aliases.append(self._record(asked, "CNAME", target))
            if not is_below(target, self._zone):
                return Answer(Outcome.FOUND, self._zone, tuple(aliases), outside=target)
            asked = target

    def _targets_or_none(self, name: str) -> list[_Target]:
        try:
            return self._targets(name.lower())
        except _NoSuchNameError:
            return []

    def _targets(self, name: str) -> list[_Target]:
        """Return what `name`, in small letters, leads to.

        Raises:
            _NoSuchNameError: there is no such name.
        """
        base = "" if name == self._zone else name[: -len(self._zone) - 1] if self._zone != "." else name[:-1]
        if base and self._zone.endswith(".arpa."):
            raise _NoSuchNameError
        if base == "ns.dns":
            return [_Target(name, address, _kind(address)) for address in self._servers_addresses()]
        labels = base.split(".") if base else []
        if not labels:
            return []
        sort, *rest = reversed(labels)
        if sort not in {"svc", "pod"} or len(rest) > 4:
            raise _NoSuchNameError
        if not rest:
            return []
        namespace, *rest = rest
        self._see_namespace(namespace)
        if not rest:
            return []
        if sort == "pod":
            return self._pods(name, namespace, rest[0])
        port = protocol = endpoint = ""
        if len(rest) == 3:
            protocol, port = rest[1].removeprefix("_"), rest[2].removeprefix("_")
        elif len(rest) == 2:
            endpoint = rest[1]
        return self._of_service(namespace, rest[0], endpoint, port, protocol)

    def _see_namespace(self, namespace: str) -> None:
        exposed = self._settings.namespaces
        if (exposed and namespace not in exposed) or not self._directory.has_namespace(namespace):
            raise _NoSuchNameError

    def _pods(self, name: str, namespace: str, label: str) -> list[_Target]:
        """Return the address that is a pod's name."""
        mode = self._settings.pods
        is_v4 = label.count("-") == 3 and "--" not in label
        try:
            address = str(IpAddress.parse(label.replace("-", "." if is_v4 else ":")))
        except AddressError:
            raise _NoSuchNameError from None
        known = mode == "insecure" or (
            mode == "verified"
            and any(pod.metadata.namespace == namespace for pod in self._directory.pods_at(address))
        )
        if not known:
            raise _NoSuchNameError
        return [_Target(name, address, _kind(address))]

    def _of_service(
        self, namespace: str, name: str, endpoint: str, port: str, protocol: str
    ) -> list[_Target]:
        service = self._directory.service(namespace, name)
        if service is None:
            raise _NoSuchNameError
        own = f"{name}.{namespace}.svc.{self._zone}"
        if service.spec.type == "ExternalName":
            if endpoint or _is_address(service.spec.external_name):
                raise _NoSuchNameError
            return [_Target(own, service.spec.external_name, "CNAME")]
        if service.is_headless or endpoint:
            hosts = ((each, self._host(each)) for each in self._backends(service))
            found = [
                _Target(f"{host}.{own}", each.address, _kind(each.address), each.port)
                for each, host in hosts
                if _fits(port, each.port_name, protocol, each.protocol) and endpoint in {"", host.lower()}
            ]
        else:
            if self._settings.ignore_empty and not any(self._backends(service)):
                raise _NoSuchNameError
            ports = [(each.name, each.port, each.protocol) for each in service.spec.ports] or [("", -1, "")]
            found = [
                _Target(own, address, _kind(address), number)
                for port_name, number, of in ports
                if _fits(port, port_name, protocol, of)
                for address in service.spec.cluster_ips
            ]
        if not found:
            raise _NoSuchNameError
        return found

    def _backends(self, service: Service) -> Iterator[Backend]:
        if self._settings.noendpoints:
            return iter(())
        return self._directory.backends(Key(service.metadata.namespace, service.metadata.name))

    def _host(self, backend: Backend) -> str:
        """Return the label of an endpoint below its Service."""
        if backend.hostname:
            return backend.hostname
        if self._settings.endpoint_pod_names and backend.pod and len(backend.pod) < 64:
            return backend.pod
        dashed = backend.address.replace(".", "-").replace(":", "-")
        return f"{dashed}0" if dashed.endswith("-") else dashed

    # --- other kinds ---

    def _services(self, name: str) -> Answer:
        """Return a SRV record for each port of each target, and the targets' addresses."""
        targets = [each for each in self._targets(name.lower()) if each.kind != "CNAME"]
        if not targets:
            return self._found(())
        weight = max(1, 100 // len(targets))
        records = dict.fromkeys(
            self._record(name, "SRV", f"0 {weight} {each.port} {each.name}")
            for each in targets
            if each.port >= 0
        )
        additional = dict.fromkeys(
            self._record(each.name, each.kind, each.host) for each in targets if each.port >= 0
        )
        return self._found(tuple(records), tuple(additional))

    def _pointers(self, name: str) -> Iterator[Record]:
        """Yield the names of an address: its Service's, or else those of all endpoints that have it."""
        address = address_of(name)
        if not address:
            self._targets(name.lower())
            return
        zone = self._settings.primary
        service = self._directory.service_at(address)
        if service is not None and self._is_exposed(service):
            yield self._record(name, "PTR", f"{service.name}.{service.namespace}.svc.{zone}")
            return
        found = dict.fromkeys(self._names_of_endpoint(address, zone))
        if not found:
            raise _NoSuchNameError
        for each in found:
            yield self._record(name, "PTR", each)

    def _names_of_endpoint(self, address: str, zone: str) -> Iterator[str]:
        for key in self._directory.services_behind(address):
            if self._is_exposed(key) and not self._settings.noendpoints:
                for each in self._directory.backends(key):
                    if each.address == address:
                        yield f"{self._host(each)}.{key.name}.{key.namespace}.svc.{zone}"

    def _is_exposed(self, key: Key) -> bool:
        return not self._settings.namespaces or key.namespace in self._settings.namespaces

    def _servers_addresses(self) -> list[str]:
        return [address for _, address in self._servers()]

    def _servers(self) -> list[tuple[str, str]]:
        """Return names and addresses of the Services that this server is an endpoint of."""
        found: dict[tuple[str, str], None] = {}
        for own in self._own:
            for key in self._directory.services_behind(own):
                service = self._directory.service(key.namespace, key.name)
                if service is None:
                    continue
                name = f"{key.name}.{key.namespace}.svc.{self._zone}"
                if service.is_headless:
                    found.update(
                        dict.fromkeys((f"{self._host(b)}.{name}", b.address) for b in self._backends(service))
                    )
                else:
                    found.update(dict.fromkeys((name, address) for address in service.spec.cluster_ips))
        return list(found) or [(f"{_NAME_SERVER}{self._zone}", own) for own in self._own]

    def _name_servers(self, name: str) -> Answer:
        servers = self._servers()
        records = dict.fromkeys(self._record(name, "NS", server) for server, _ in servers)
        additional = tuple(self._record(server, _kind(address), address) for server, address in servers)
        return self._found(tuple(records), additional)


def _fits(port: str, port_name: str, protocol: str, of: str) -> bool:
    """Whether a port is meant; what is not said fits all."""
    return port in {"", port_name.lower()} and protocol in {"", of.lower()}


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _is_address(text: str) -> bool:
    try:
        IpAddress.parse(text)
    except AddressError:
        return False
    return True
