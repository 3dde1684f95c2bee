# SPDX-License-Identifier: GPL-2.0-only
"""Hosts and paths as nginx has them, and which location a request meets.

A host is looked for exactly, then with its first label as `*`, then there is
the server for all others. Of its locations an exact one comes before all, then
the longest prefix. Where one path of a host is a regular expression, all are:
they are tried from the longest on, whatever the case of the request's letters.

Source: ingress-nginx internal/ingress/controller/template/template.go, rootfs/etc/nginx/template/nginx.tmpl.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from emu.kube.ingress import paths, patterns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.controller import Key

Match: TypeAlias = Literal["exact", "prefix", "octets", "regex"]
"""How a path is compared: `prefix` by its elements, `octets` as nginx' own prefixes are."""


@attrs.frozen
class Backend:
    """A port of a Service; `text` is its name or number. No name stands for the default backend's page."""

    namespace: str = ""
    service: str = ""
    port: int | str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}:{self.port}" if self.service else "the default backend"


NOWHERE = Backend()
"""Who answers 404 to all that meets no rule."""


@attrs.frozen
class Handling:
    """What annotations and the ConfigMap say of a location.

    Attributes:
        redirects: plain requests go to https where the host has a certificate.
        always_redirects: they do, whether it has one or not.
        protocol: what the endpoints speak: HTTP or HTTPS.
        rewrite: in place of the path, with `$1` and so on; empty for the path as it is.
        connect_timeout: to an endpoint, seconds.
        read_timeout: from a request to its answer, seconds.
        tries: endpoints that are asked at most, 0 for all of them.
        tries_timeout: seconds after which nobody else is asked, 0 for no such limit.
        upstream_host: the Host field for endpoints; empty for the client's.
        to_service: the ClusterIP is asked, not the endpoints.
        allowed: source ranges; empty for everybody.
        permanent: where every request is sent; empty for nowhere.
        permanent_code: with which status.
        body_limit: octets of a request's body, 0 for any.
        keeps_slash: redirects to https keep a `/` at the end.
    """

    redirects: bool = True
    always_redirects: bool = False
    protocol: str = "HTTP"
    rewrite: str = ""
    connect_timeout: int = 5
    read_timeout: int = 60
    tries: int = 3
    tries_timeout: int = 0
    upstream_host: str = ""
    to_service: bool = False
    allowed: tuple[str, ...] = ()
    permanent: str = ""
    permanent_code: int = 301
    body_limit: int = 1 << 20
    keeps_slash: bool = False


@attrs.frozen
class Location:
    """A path of a host.

    Attributes:
        path: as it was written.
        match: how it is compared.
        backend: who answers.
        handling: how.
        ingress: whose it is, None for what nobody asked for.
    """

    path: str
    match: Match
    backend: Backend
    handling: Handling = Handling()
    ingress: Key | None = None

    def covers(self, path: str) -> bool:
        """Return whether a request's path, normalised, meets it."""
        match self.match:
            case "exact":
                return path == self.path
            case "octets":
                return path.startswith(self.path)
            case "regex":
                pattern = patterns.compiled(self.path)
                return pattern is not None and (self.is_beyond(path) or pattern.match(path) is not None)
            case _:
                bare = self.path.rstrip("/")
                return path == bare or path.startswith(f"{bare}/")

    def is_beyond(self, path: str) -> bool:
        """Return whether a regular expression is too much work for a path: then it is a 500."""
        return self.match == "regex" and patterns.is_beyond(self.path, path)

    def rewritten(self, path: str) -> str | None:
        """Return the target for endpoints instead of `path`, which is normalised; None for no other."""
        if not self.handling.rewrite:
            return None
        groups: tuple[str | None, ...] = ()
        if self.match == "regex":
            pattern = patterns.compiled(self.path)
            found = None if pattern is None or self.is_beyond(path) else pattern.match(path)
            if found is None:
                return None
            groups = found.groups()

        def filled(text: str) -> str:
            return re.sub(
                r"\$(\d)",
                lambda each: (groups[int(each[1]) - 1] or "") if 0 < int(each[1]) <= len(groups) else "",
                text,
            )

        target, question, query = self.handling.rewrite.partition("?")
        return (paths.escaped(filled(target)) or "/") + question + paths.escaped(filled(query))


@attrs.frozen
class Server:
    """A host.

    Attributes:
        host: its name, `*.` and a name, or `_` for all others.
        locations: in the order in which they are tried.
        secret: whose certificate it has, None for none.
        has_tls: an Ingress says so; without a certificate of its own it has the default one.
        ingresses: whose rules name it.
    """

    host: str
    locations: tuple[Location, ...] = ()
    secret: Key | None = None
    has_tls: bool = False
    ingresses: tuple[Key, ...] = ()

    def location(self, path: str) -> Location | None:
        """Return what a normalised path meets, None for nothing."""
        return next((each for each in self.locations if each.covers(path)), None)


def ordered(locations: list[Location]) -> tuple[Location, ...]:
    """Return locations in the order in which they are tried."""
    if any(each.match == "regex" for each in locations):
        asked = [attrs.evolve(each, match="regex") for each in locations if each.match != "exact"]
        exact = [
            attrs.evolve(each, path=f"{re.escape(each.path)}$", match="regex")
            for each in locations
            if each.match == "exact"
        ]
        return tuple(sorted((*exact, *asked), key=lambda each: -len(each.path)))
    rank = {"exact": 0}
    return tuple(sorted(locations, key=lambda each: (rank.get(each.match, 1), -len(each.path.rstrip("/")))))


DEFAULT = "_"
"""The name of the server for all hosts that have none of their own."""


@attrs.frozen
class Configuration:
    """All servers, by their hosts, and what is amiss, in words."""

    servers: Mapping[str, Server] = attrs.field(factory=dict)
    complaints: tuple[str, ...] = ()

    def named(self, host: str) -> Server | None:
        """Return the server of a name, exactly or by its first label; None if it has none of its own."""
        host = host.lower()
        found = self.servers.get(host)
        return found if found is not None else self.servers.get("*." + host.partition(".")[2])

    def server(self, host: str) -> Server:
        """Return who answers for a Host field."""
        return self.named(host_of(host)) or self.servers.get(DEFAULT) or Server(DEFAULT)


def host_of(field: str) -> str:
    """Return the name in a Host field, without its port."""
    name = field.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0].lstrip("[")
    return name.partition(":")[0].rstrip(".")
