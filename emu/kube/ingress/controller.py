# SPDX-License-Identifier: GPL-2.0-only
"""Keeps what the proxies know current, writes the status of Ingresses, and tells what is amiss.

What has changed is known to the proxies a second later, as the workers of
nginx look for news every second.

Source: ingress-nginx internal/ingress/{controller/controller,controller/endpointslices,status/status}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kube import events
from emu.kube.api.objects import ConfigMap, EndpointSlice, Ingress, IngressClass, Node, Pod, Service
from emu.kube.api.objects.service import LoadBalancerIngress, LoadBalancerStatus
from emu.kube.api.selectors import contains
from emu.kube.controller import Key, Queue
from emu.kube.endpoints.index import SliceIndex
from emu.kube.ingress import paths, secrets
from emu.kube.ingress.balancing import Endpoint
from emu.kube.ingress.configuration import CLASS, class_of, decide, own
from emu.kube.ingress.explain import explain
from emu.kube.ingress.servers import NOWHERE, Configuration
from emu.kube.ingress.settings import Options, options, refused, unknown
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from emu.apps.tls.certificates import Credential
    from emu.kube.api.objects.service import ServicePort
    from emu.kube.api.store import Change, Store
    from emu.kube.ingress.explain import Explanation
    from emu.kube.ingress.servers import Backend
    from emu.kube.ingress.settings import Arguments

_LAG: Final = SECOND
_ALL: Final = Key("", "")
_WATCHED: Final = (Ingress, IngressClass, Service, EndpointSlice, ConfigMap)
COMPONENT: Final = "nginx-ingress-controller"


@attrs.define(eq=False)
class Known:
    """What the proxies of one installation know.

    Attributes:
        configuration: hosts and paths.
        options: what the ConfigMap says.
        endpoints: who stands behind each backend.
    """

    is_still: ClassVar[bool] = True

    configuration: Configuration = attrs.field(factory=Configuration)
    options: Options = attrs.field(factory=Options)
    endpoints: Mapping[Backend, tuple[Endpoint, ...]] = attrs.field(factory=dict)


@attrs.frozen
class Upstream:
    """Whom a controller asks for a request.

    Attributes:
        pod: one of its own.
        backend: as the rules name it.
        port: of the Service, None where there is no such Service or port.
        endpoints: who is known behind it.
    """

    pod: Key
    backend: Backend
    port: int | None
    endpoints: tuple[Endpoint, ...]


class Controllers:
    """All controllers of a cluster: those whose arguments are the same know the same.

    Args:
        store: the API server.
        warn: is told what is not modelled, and what will astonish.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, store: Store, warn: Callable[[str], None]) -> None:
        self._store = store
        self._warn = warn
        self._known: dict[Arguments, Known] = {}
        self._pods: dict[Key, Arguments] = {}
        self._slices: SliceIndex | None = None
        self._queue = Queue(store, self, delay=_LAG)
        self.is_waiting = False

    def join(self, pod: Pod, arguments: Arguments) -> Known:
        """Take a pod whose controller starts, and return what it knows from now on."""
        if self._slices is None:
            self._slices = SliceIndex(self._store)
            for kind in _WATCHED:
                self._store.watch(kind, self._hear)
            self._store.watch(Pod, self._hear_pod)
        self._pods[Key(pod.metadata.namespace, pod.metadata.name)] = arguments
        known = self._known.setdefault(arguments, Known())
        self._look(arguments, known)
        return known

    def certificate(self, arguments: Arguments, name: str | None) -> Credential | None:
        """Return the certificate for a name that a client asks for, None for the fake one."""
        found = self._certificate_of(arguments, name)
        if found is not None or arguments.default_certificate is None:
            return found
        return self._credential(arguments.default_certificate)

    def _certificate_of(self, arguments: Arguments, name: str | None) -> Credential | None:
        """Return the certificate that Ingresses give for a name, None if they give none that can be used."""
        known = self._known.get(arguments)
        server = None if known is None or not name else known.configuration.named(name)
        if server is None or server.secret is None:
            return None
        found = self._credential(server.secret)
        return found if found is not None and secrets.is_for(found, server.host) else None

    def explain(self, address: str, host: str, path: str, status: int) -> Explanation | None:
        """Return whose rules an answer from `address` follows; None if no Ingress is reached there."""
        arguments = self._at(address)
        return None if arguments is None else explain(self._known[arguments], host, path, status)

    def shows_own(self, address: str, name: str) -> bool:
        """Return whether who is reached at `address` has a certificate for a name, not its default one."""
        arguments = self._at(address)
        return arguments is not None and self._certificate_of(arguments, name) is not None

    def upstream(self, address: str, host: str, path: str) -> Upstream | None:
        """Return whom the controller asks that is reached at `address`; None if it asks nobody."""
        arguments = self._at(address)
        if arguments is None:
            return None
        known = self._known[arguments]
        normalised = paths.normalised(path)
        location = None if normalised is None else known.configuration.server(host).location(normalised)
        pods = sorted(key for key, own_arguments in self._pods.items() if own_arguments == arguments)
        if location is None or location.backend == NOWHERE or not pods:
            return None
        backend = location.backend
        service = self._store.find(Service, backend.service, backend.namespace)
        port = None if service is None else port_of(service, backend.port)
        number = None if port is None else port.port
        return Upstream(pods[0], backend, number, known.endpoints.get(backend, ()))

    def _at(self, address: str) -> Arguments | None:
        """Return the arguments of the controllers that are reached at `address`, None if none is."""
        for arguments in self._known:
            addresses = {each.ip for each in self._addresses(arguments)} | self._own_addresses(arguments)
            if address in addresses:
                return arguments
        return None

    def _own_addresses(self, arguments: Arguments) -> set[str]:
        """Return the addresses of the pods of a controller, and of its Service and nodes."""
        found: set[str] = set()
        for key, own_arguments in self._pods.items():
            pod = self._store.find(Pod, key.name, key.namespace)
            if pod is not None and own_arguments == arguments:
                found |= {pod.status.pod_ip, pod.status.host_ip}
                found |= {
                    each.spec.cluster_ip
                    for each in self._store.list(Service, key.namespace)
                    if each.spec.selector and contains(pod.metadata.labels, each.spec.selector)
                }
        return found

    def unserved(self) -> list[str]:
        """Return what to tell of Ingresses that nobody serves, a line each."""
        classes = self._store.list(IngressClass)
        served: set[Key] = set()
        for arguments in set(self._pods.values()):
            served |= {_key(each) for each in own(self._store, arguments)}
        alone: dict[str | None, list[str]] = {}
        for ingress in self._store.list(Ingress):
            if _key(ingress) not in served:
                name = ingress.metadata.annotations.get(CLASS) or class_of(ingress, classes)
                alone.setdefault(name, []).append(f"{ingress.metadata.namespace}/{ingress.metadata.name}")
        lines = []
        for name, found in alone.items():
            whose = f"no controller that is modelled serves the class {name}" if name else "of no class"
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            lines.append(f"Ingress {found[0]}{others}: {whose}, so nobody follows what it says")
        return lines

    # --- keeping up ---

    def _hear(self, change: Change) -> None:
        if isinstance(change.new, Ingress) and isinstance(change.old, Ingress):
            same = attrs.evolve(change.new, metadata=change.old.metadata, status=change.old.status)
            if same == change.old and change.new.metadata.annotations == change.old.metadata.annotations:
                return  # its status, which is our own doing
        self._stir()

    def _hear_pod(self, change: Change) -> None:
        meta = change.object.metadata
        key = Key(meta.namespace, meta.name)
        if key not in self._pods:
            return
        if change.new is None:
            del self._pods[key]
        self._stir()

    def _stir(self) -> None:
        self.is_waiting = True
        self._queue.add(_ALL)

    def reconcile(self, _: Key) -> None:
        """Look at everything again."""
        self.is_waiting = False
        for arguments, known in self._known.items():
            self._look(arguments, known)

    def _look(self, arguments: Arguments, known: Known) -> None:
        """Make what the proxies know what is so now, and write the status of their Ingresses."""
        data: Mapping[str, str] = {}
        if arguments.config_map is not None:
            found = self._store.find(ConfigMap, arguments.config_map.name, arguments.config_map.namespace)
            data = {} if found is None else found.data
        known.options = options(data)
        for key in unknown(data):
            self._warn(f"ingress-nginx: the ConfigMap's key {key} is not modelled")
        for key in refused(data):
            self._warn(f"ingress-nginx: the ConfigMap's {key}: {data[key]!r} is not taken")
        before = known.configuration
        known.configuration = decide(self._store, arguments, known.options.handling)
        for complaint in known.configuration.complaints:
            self._warn(complaint)
        known.endpoints = {
            location.backend: tuple(
                self._endpoints(location.backend, to_service=location.handling.to_service)
            )
            for server in known.configuration.servers.values()
            for location in server.locations
        }
        if known.configuration.servers != before.servers:
            for ingress in own(self._store, arguments):
                events.record(self._store, ingress, events.NORMAL, "Sync", "Scheduled for sync", COMPONENT)
        self._write_status(arguments)

    def _endpoints(self, backend: Backend, *, to_service: bool) -> Iterator[Endpoint]:
        """Yield who is asked for a backend, sorted; nobody where there is no such Service or port."""
        service = self._store.find(Service, backend.service, backend.namespace)
        port = None if service is None else port_of(service, backend.port)
        if service is None or port is None:
            return
        if service.spec.type == "ExternalName":
            number = port.target_port if isinstance(port.target_port, int) else port.port
            yield Endpoint(service.spec.external_name.rstrip("."), number)
            return
        if to_service and not service.is_headless:
            yield Endpoint(service.spec.cluster_ip, port.port)
            return
        assert self._slices is not None, "somebody has joined"
        found: set[Endpoint] = set()
        for each in self._slices.of(Key(backend.namespace, backend.service)):
            numbers = [one.port for one in each.ports if (one.name or "") == (port.name or "") and one.port]
            for endpoint in each.endpoints:
                if endpoint.conditions.ready is False or each.address_type != "IPv4":
                    continue
                found |= {Endpoint(address, one) for address in endpoint.addresses for one in numbers}
        yield from sorted(found)

    def _credential(self, secret: Key) -> Credential | None:
        found = secrets.find(self._store, secret)
        made = None if found is None else secrets.credential(found)
        return made if made is not None and not secrets.fault(made) else None

    # --- status ---

    def _write_status(self, arguments: Arguments) -> None:
        status = LoadBalancerStatus(tuple(self._addresses(arguments)))
        for ingress in own(self._store, arguments):
            if ingress.status.load_balancer != status:
                new = attrs.evolve(ingress.status, load_balancer=status)
                self._store.put(attrs.evolve(ingress, status=new))

    def _addresses(self, arguments: Arguments) -> Iterator[LoadBalancerIngress]:
        """Yield where the Ingresses of a controller are reached."""
        if arguments.publish_addresses:
            yield from map(_published, arguments.publish_addresses)
            return
        if arguments.publish_service is None:
            yield from map(_published, sorted(self._of_nodes(arguments)))
            return
        key = arguments.publish_service
        service = self._store.find(Service, key.name, key.namespace)
        if service is None:
            return
        external = map(_published, service.spec.external_ips)
        match service.spec.type:
            case "LoadBalancer":
                yield from (attrs.evolve(each, ip_mode=None) for each in service.status.load_balancer.ingress)
                yield from external
            case "ExternalName":
                yield _published(service.spec.external_name)
            case "NodePort" if service.spec.external_ips:
                yield from external
            case _:
                yield _published(service.spec.cluster_ip)

    def _of_nodes(self, arguments: Arguments) -> set[str]:
        """Return addresses of the nodes that the pods of a controller are on."""
        found: set[str] = set()
        for key, own_arguments in self._pods.items():
            pod = self._store.find(Pod, key.name, key.namespace)
            node = None if pod is None else self._store.find(Node, pod.spec.node_name)
            if node is not None and own_arguments == arguments:
                kinds = ("InternalIP",) if arguments.node_addresses else ("ExternalIP", "InternalIP")
                found |= set(next(filter(None, (node.addresses(kind) for kind in kinds)), ())[:1])
        return found


def _key(ingress: Ingress) -> Key:
    return Key(ingress.metadata.namespace, ingress.metadata.name)


def _published(address: str) -> LoadBalancerIngress:
    is_name = any(letter.isalpha() for letter in address)
    return LoadBalancerIngress(hostname=address) if is_name else LoadBalancerIngress(ip=address)


def port_of(service: Service, wanted: int | str) -> ServicePort | None:
    """Return the port of a Service by number or name; the first if none is said."""
    for each in service.spec.ports:
        if wanted in {each.port, each.name, ""}:
            return each
    return None
