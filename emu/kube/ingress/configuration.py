# SPDX-License-Identifier: GPL-2.0-only
"""Objects to servers: what a controller makes of the Ingresses that are its own.

Source: ingress-nginx internal/ingress/controller/{controller,store/store,ingressclass/ingressclass}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects import Ingress, IngressClass
from emu.kube.controller import Key
from emu.kube.ingress import nginx_annotations, patterns, secrets
from emu.kube.ingress.servers import DEFAULT, NOWHERE, Backend, Configuration, Location, Server, ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects.network import HttpPath, IngressBackend
    from emu.kube.api.store import Store
    from emu.kube.ingress.servers import Handling, Match
    from emu.kube.ingress.settings import Arguments

CLASS: Final = "kubernetes.io/ingress.class"
IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_MATCHES: Final[dict[str, Match]] = {"Exact": "exact", "Prefix": "prefix", "ImplementationSpecific": "octets"}


def class_of(ingress: Ingress, classes: Iterable[IngressClass]) -> str | None:
    """Return the class of an Ingress, the default one if it names none; None if there is none."""
    if ingress.spec.ingress_class_name is not None:
        return ingress.spec.ingress_class_name
    defaults = sorted(
        each.metadata.name for each in classes if each.metadata.annotations.get(IS_DEFAULT) == "true"
    )
    return defaults[0] if len(defaults) == 1 else None


def is_own(ingress: Ingress, classes: Sequence[IngressClass], arguments: Arguments) -> bool:
    """Return whether an Ingress is for a controller."""
    if arguments.namespace and ingress.metadata.namespace != arguments.namespace:
        return False
    note = ingress.metadata.annotations.get(CLASS)
    if note is not None:
        return note == arguments.ingress_class
    name = class_of(ingress, classes)
    if name is None:
        return arguments.without_class
    return any(
        each.metadata.name == name and each.spec.controller == arguments.controller_class for each in classes
    )


def own(store: Store, arguments: Arguments) -> list[Ingress]:
    """Return the Ingresses of a controller, the oldest first."""
    classes = store.list(IngressClass)
    found = [each for each in store.list(Ingress) if is_own(each, classes, arguments)]
    return sorted(found, key=lambda each: each.metadata.creation_timestamp or "")


def decide(store: Store, arguments: Arguments, defaults: Handling) -> Configuration:
    """Return the servers of a controller.

    Args:
        store: the objects as they are.
        arguments: which of them are the controller's own.
        defaults: how locations are handled whose Ingress says nothing else.
    """
    drafts = _Drafts(store)
    if arguments.default_backend is not None:
        service = arguments.default_backend
        drafts.catch_all(Location("/", "prefix", Backend(service.namespace, service.name, ""), defaults))
    for ingress in own(store, arguments):
        drafts.take(ingress, nginx_annotations.handling(ingress, defaults))
    return drafts.finish()


@attrs.define
class _Draft:
    """A server that is not complete yet."""

    host: str
    locations: list[Location] = attrs.field(factory=list)
    secret: Key | None = None
    has_tls: bool = False
    ingresses: list[Key] = attrs.field(factory=list)


class _Drafts:
    """Servers by their hosts, filled by one Ingress after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._servers: dict[str, _Draft] = {DEFAULT: _Draft(DEFAULT)}
        self._complaints: list[str] = []

    def catch_all(self, location: Location) -> None:
        """Let `location` answer what meets nothing else."""
        self._servers[DEFAULT].locations.append(location)

    def take(self, ingress: Ingress, handling: Handling) -> None:
        """Add the rules of an Ingress; paths that an older one has are left out."""
        key = Key(ingress.metadata.namespace, ingress.metadata.name)
        self._complaints += [
            f"Ingress {_called(key)}: {each}" for each in nginx_annotations.complaints(ingress)
        ]
        is_regex = nginx_annotations.is_regex(ingress)
        spec = ingress.spec
        default = None if spec.default_backend is None else self._backend(spec.default_backend, key)
        if default is not None and not spec.rules:
            self._replace(self._servers[DEFAULT], Location("/", "prefix", default, handling, key))
        hosts = [rule.host or DEFAULT for rule in spec.rules]
        for host in hosts:
            draft = self._servers.setdefault(host, _Draft(host))
            if key not in draft.ingresses:
                draft.ingresses.append(key)
        for rule, host in zip(spec.rules, hosts, strict=True):
            for path in rule.http.paths if rule.http is not None else ():
                backend = self._backend(path.backend, key)
                match = "regex" if is_regex and path.path_type != "Exact" else _match(path)
                self._add(host, Location(path.path or "/", match, backend, handling, key))
        for host in hosts:
            draft = self._servers[host]
            if default is not None and not any(_is_root(each) for each in draft.locations):
                draft.locations.append(Location("/", "prefix", default, handling, key))
            if host != DEFAULT:
                self._secure(draft, ingress)

    def finish(self) -> Configuration:
        """Return what there is; regular expressions that nginx would refuse are left out."""
        for draft in self._servers.values():
            if any(each.match == "regex" for each in draft.locations):
                draft.locations = [each for each in draft.locations if self._is_taken(each, draft.host)]
        servers = {
            draft.host: Server(
                draft.host, ordered(draft.locations), draft.secret, draft.has_tls, tuple(draft.ingresses)
            )
            for draft in self._servers.values()
        }
        return Configuration(servers, tuple(self._complaints))

    def _is_taken(self, location: Location, host: str) -> bool:
        """Return whether a path can be a regular expression, as all of a host are; tell what is amiss."""
        why = "" if location.match == "exact" else patterns.fault(location.path)
        if why:
            whose = "" if location.ingress is None else f"Ingress {_called(location.ingress)}: "
            self._complaints.append(f"{whose}path of {host}: {why}")
        return location.match == "exact" or patterns.compiled(location.path) is not None

    def _add(self, host: str, location: Location) -> None:
        locations = self._servers[host].locations
        known = next(
            (each for each in locations if (each.path, each.match) == (location.path, location.match)), None
        )
        if known is None:
            locations.append(location)
        elif known.ingress is not None and location.ingress is not None and known.backend != location.backend:
            self._complaints.append(
                f"Ingress {_called(location.ingress)}: {host}{location.path} is that of the older "
                f"{_called(known.ingress)}, which keeps it"
            )

    def _replace(self, draft: _Draft, location: Location) -> None:
        if not any(_is_root(each) and each.ingress is not None for each in draft.locations):
            draft.locations = [each for each in draft.locations if not _is_root(each)] + [location]

    def _backend(self, backend: IngressBackend, key: Key) -> Backend:
        service = backend.service
        if service is None:
            self._complaints.append(f"Ingress {_called(key)}: a resource as backend is not modelled")
            return NOWHERE
        port = service.port.name or service.port.number or ""
        return Backend(key.namespace, service.name, port)

    def _secure(self, draft: _Draft, ingress: Ingress) -> None:
        """Give a host the certificate that an Ingress names for it, if none has done so before."""
        namespace = ingress.metadata.namespace
        for tls in ingress.spec.tls:
            secret = Key(namespace, tls.secret_name)
            if draft.host not in tls.hosts and (tls.hosts or not self._is_for(secret, draft.host)):
                continue
            draft.has_tls = True
            if draft.secret is None and tls.secret_name:
                draft.secret = secret
                why = secrets.fault_of(self._store, secret, draft.host)
                if why:
                    self._complaints.append(
                        f"Ingress {_called(Key(namespace, ingress.metadata.name))}: {why}: {draft.host} "
                        "has the Kubernetes Ingress Controller Fake Certificate (TLS_DEFAULT_CERT)"
                    )
            return

    def _is_for(self, secret: Key, host: str) -> bool:
        found = secrets.find(self._store, secret)
        made = None if found is None else secrets.credential(found)
        return made is not None and secrets.is_for(made, host)


def _called(key: Key) -> str:
    return f"{key.namespace}/{key.name}"


def _is_root(location: Location) -> bool:
    return location.path == "/" and location.match != "exact"


def _match(path: HttpPath) -> Match:
    return "prefix" if path.path in {"", "/"} else _MATCHES.get(path.path_type, "octets")
