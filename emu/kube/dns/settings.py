# SPDX-License-Identifier: GPL-2.0-only
"""What a Corefile asks for, plugin by plugin.

Plugins work in an order of CoreDNS's own, whatever the order in the file:
loadbalance, cache, rewrite, autopath, hosts, kubernetes, loop, forward.

Source: coredns plugin.cfg and each plugin's setup.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.numbers import whole
from emu.kube.dns.corefile import CorefileError, parse
from emu.sim.time import SECOND, Duration, from_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.dns.corefile import Block, Directive

SILENT: Final = frozenset(
    {"errors", "log", "debug", "reload", "trace", "pprof", "bufsize", "minimal", "metadata", "timeouts"}
)
"""Plugins that change no answer here: what they write nobody reads, and the Corefile does not change."""

_KEY: Final = re.compile(r"(?:dns://)?(?P<zone>[^:]*)(?::(?P<port>\d+))?")
_WAYS: Final = frozenset({"exact", "prefix", "suffix", "substring", "regex"})
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@attrs.frozen
class Fallthrough:
    """For which names the next plugin is asked where this one has none; `zones` None: for none."""

    zones: tuple[str, ...] | None = None

    def covers(self, name: str) -> bool:
        """Whether the next plugin is asked for `name`."""
        return self.zones is not None and any(is_below(name, zone) for zone in self.zones)


@attrs.frozen
class Kubernetes:
    """The plugin `kubernetes`."""

    zones: tuple[str, ...] = ("cluster.local.",)
    pods: str = "disabled"
    ttl: int = 5
    namespaces: tuple[str, ...] = ()
    endpoint_pod_names: bool = False
    noendpoints: bool = False
    ignore_empty: bool = False
    through: Fallthrough = Fallthrough()

    @property
    def primary(self) -> str:
        """The first zone that is not for reverse names."""
        return next((zone for zone in self.zones if not zone.endswith(".arpa.")), self.zones[0])


@attrs.frozen
class Forward:
    """The plugin `forward`: `to` has addresses with ports, or paths of files like resolv.conf."""

    zone: str = "."
    to: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    policy: str = "random"
    force_tcp: bool = False
    max_fails: int = 2
    health_check: Duration = SECOND // 2


@attrs.frozen
class Cache:
    """The plugin `cache`; times in seconds."""

    zones: tuple[str, ...] = (".",)
    success: int = 3600
    denial: int = 1800
    least_success: int = 5
    least_denial: int = 5
    servfail: int = 5
    no_success: tuple[str, ...] = ()
    no_denial: tuple[str, ...] = ()


@attrs.frozen
class Hosts:
    """The plugin `hosts`: pairs of address and name."""

    entries: tuple[tuple[str, str], ...] = ()
    file: str = ""
    zones: tuple[str, ...] = (".",)
    ttl: int = 3600
    reverse: bool = True
    through: Fallthrough = Fallthrough()


@attrs.frozen
class Rewrite:
    """A rule of the plugin `rewrite` about names: `how` is exact, prefix, suffix, substring or regex."""

    how: str
    pattern: str
    replacement: str
    goes_on: bool = False


@attrs.frozen
class Server:
    """A server block."""

    zones: tuple[str, ...] = (".",)
    port: int = 53
    kubernetes: Kubernetes | None = None
    forwards: tuple[Forward, ...] = ()
    cache: Cache | None = None
    hosts: Hosts | None = None
    rewrites: tuple[Rewrite, ...] = ()
    autopath: str = ""
    loadbalance: bool = False
    loop: bool = False
    health: int | None = None
    ready: int | None = None
    metrics: int | None = None


@attrs.frozen
class Corefile:
    """Servers, and what the file asks for that is not modelled, each once, in words."""

    servers: tuple[Server, ...] = ()
    not_modelled: tuple[str, ...] = ()


def fqdn(name: str) -> str:
    """Return a name in small letters with its final dot."""
    return name.lower().rstrip(".") + "."


def is_below(name: str, zone: str) -> bool:
    """Whether a name is a zone's, or below it; both with final dots."""
    name = name.lower()
    return zone in (".", name) or name.endswith(f".{zone}")


def read(text: str) -> Corefile:
    """Return what a Corefile asks for.

    Raises:
        CorefileError: it cannot be read, or a setting is wrong.
    """
    notes: list[str] = []
    servers = [_server(block, notes) for block in parse(text)]
    return Corefile(tuple(servers), tuple(dict.fromkeys(notes)))


def _server(block: Block, notes: list[str]) -> Server:
    zones, ports = [], []
    for key in block.keys:
        found = _KEY.fullmatch(key)
        if found is None or key.startswith("("):
            notes.append(f"the server {key}")
            continue
        zones.append(fqdn(found["zone"] or "."))
        ports.append(int(found["port"] or 53))
    server = Server(tuple(zones), ports[0] if ports else 53)
    for directive in block.directives:
        reader = _READERS.get(directive.name)
        if reader is not None:
            server = reader(server, directive, notes)
        elif directive.name not in SILENT:
            notes.append(f"the plugin {directive.name}")
    return server


# --- small things ---


def _duration(directive: Directive, text: str) -> Duration:
    parts = _DURATION.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise CorefileError(directive.line, f"invalid duration: {text!r}")
    return from_seconds(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _number(directive: Directive, text: str) -> int:
    number = whole(text)
    if number is None:
        raise CorefileError(directive.line, f"{directive.name}: {text!r} is no number")
    return number


def _seconds(directive: Directive, text: str) -> int:
    number = whole(text)
    return _duration(directive, text) // SECOND if number is None else number


def _zones(arguments: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return zones as names; a prefix such as 10.96.0.0/16 is not one."""
    return tuple(map(fqdn, arguments)) or default


def _through(arguments: tuple[str, ...]) -> Fallthrough:
    return Fallthrough(_zones(arguments, (".",)))


def _port(directive: Directive, default: int) -> int:
    if not directive.arguments:
        return default
    return _number(directive, directive.arguments[0].rpartition(":")[2])


# --- plugins ---


def _kubernetes(server: Server, directive: Directive, notes: list[str]) -> Server:
    found = Kubernetes(_zones(directive.arguments, server.zones))
    for line in directive.block:
        arguments = line.arguments
        match line.name:
            case "pods" if arguments[:1] in {("disabled",), ("insecure",), ("verified",)}:
                found = attrs.evolve(found, pods=arguments[0])
            case "ttl" if arguments:
                ttl = _number(line, arguments[0])
                if ttl > 3600:
                    raise CorefileError(line.line, f"ttl must be in range [0, 3600]: {ttl}")
                found = attrs.evolve(found, ttl=ttl)
            case "namespaces":
                found = attrs.evolve(found, namespaces=arguments)
            case "endpoint_pod_names":
                found = attrs.evolve(found, endpoint_pod_names=True)
            case "noendpoints":
                found = attrs.evolve(found, noendpoints=True)
            case "ignore" if arguments == ("empty_service",):
                found = attrs.evolve(found, ignore_empty=True)
            case "fallthrough":
                found = attrs.evolve(found, through=_through(arguments))
            case "endpoint" | "tls" | "kubeconfig" | "startup_timeout" | "apiserver_qps" | "apiserver_burst":
                pass  # how the API server is reached
            case _:
                notes.append(f"the option {line.name} of the plugin kubernetes")
    return attrs.evolve(server, kubernetes=found)


def _forward(server: Server, directive: Directive, notes: list[str]) -> Server:
    if len(directive.arguments) < 2:
        raise CorefileError(directive.line, "forward needs a zone and somebody to forward to")
    zone, *to = directive.arguments
    found = Forward(fqdn(zone), tuple(each.removeprefix("dns://") for each in to))
    notes += [f"forwarding to {each}" for each in found.to if "://" in each]
    for line in directive.block:
        match line.name:
            case "except":
                found = attrs.evolve(found, except_=_zones(line.arguments, ()))
            case "policy" if line.arguments[:1] in {("random",), ("round_robin",), ("sequential",)}:
                found = attrs.evolve(found, policy=line.arguments[0])
            case "force_tcp":
                found = attrs.evolve(found, force_tcp=True)
            case "max_fails" if line.arguments:
                found = attrs.evolve(found, max_fails=_number(line, line.arguments[0]))
            case "health_check" if line.arguments:
                found = attrs.evolve(found, health_check=_duration(line, line.arguments[0]))
            case "max_concurrent" | "expire" | "prefer_udp" | "max_idle_conns":
                pass
            case _:
                notes.append(f"the option {line.name} of the plugin forward")
    return attrs.evolve(server, forwards=(*server.forwards, found))


def _cache(server: Server, directive: Directive, notes: list[str]) -> Server:
    arguments = directive.arguments
    found = Cache(server.zones)
    both = whole(arguments[0]) if arguments else None
    if both is not None:
        found = attrs.evolve(found, success=both, denial=both)
        arguments = arguments[1:]
    found = attrs.evolve(found, zones=_zones(arguments, server.zones))
    for line in directive.block:
        match line.name, line.arguments:
            case "success", (_, ttl, *least):
                found = attrs.evolve(found, success=_seconds(line, ttl))
                if least:
                    found = attrs.evolve(found, least_success=_seconds(line, least[0]))
            case "denial", (_, ttl, *least):
                found = attrs.evolve(found, denial=_seconds(line, ttl))
                if least:
                    found = attrs.evolve(found, least_denial=_seconds(line, least[0]))
            case "success" | "denial", _:
                pass  # how many are kept
            case "servfail", (text,):
                found = attrs.evolve(found, servfail=_seconds(line, text))
            case "disable", ("success", *zones):
                found = attrs.evolve(found, no_success=_zones(tuple(zones), found.zones))
            case "disable", ("denial", *zones):
                found = attrs.evolve(found, no_denial=_zones(tuple(zones), found.zones))
            case _:
                notes.append(f"the option {line.name} of the plugin cache")
    return attrs.evolve(server, cache=found)


def _hosts(server: Server, directive: Directive, notes: list[str]) -> Server:
    arguments = directive.arguments
    file = arguments[0] if arguments and arguments[0].startswith("/") else ""
    found = Hosts(file=file, zones=_zones(arguments[1:] if file else arguments, server.zones))
    if not directive.block and not file:
        found = attrs.evolve(found, file="/etc/hosts")
    entries: list[tuple[str, str]] = []
    for line in directive.block:
        match line.name:
            case "fallthrough":
                found = attrs.evolve(found, through=_through(line.arguments))
            case "ttl" if line.arguments:
                found = attrs.evolve(found, ttl=_number(line, line.arguments[0]))
            case "no_reverse":
                found = attrs.evolve(found, reverse=False)
            case "reload":
                pass
            case address if "." in address or ":" in address:
                entries += [(address, fqdn(name)) for name in line.arguments]
            case _:
                notes.append(f"the option {line.name} of the plugin hosts")
    return attrs.evolve(server, hosts=attrs.evolve(found, entries=tuple(entries)))


def _rewrite(server: Server, directive: Directive, notes: list[str]) -> Server:
    arguments = directive.arguments
    goes_on = arguments[:1] == ("continue",)
    if arguments[:1] in {("continue",), ("stop",)}:
        arguments = arguments[1:]
    match arguments:
        case [
            "name",
            ("exact" | "prefix" | "suffix" | "substring" | "regex") as how,
            pattern,
            replacement,
            *_,
        ]:
            rule = Rewrite(how, pattern, replacement, goes_on)
        case ["name", pattern, replacement]:
            rule = Rewrite("exact", pattern, replacement, goes_on)
        case _:
            notes.append(f"the rule {' '.join(directive.arguments)} of the plugin rewrite")
            return server
    return attrs.evolve(server, rewrites=(*server.rewrites, rule))


def _autopath(server: Server, directive: Directive, notes: list[str]) -> Server:
    source = directive.arguments[-1] if directive.arguments else ""
    if source != "@kubernetes":
        notes.append(f"the plugin autopath with {source or 'nothing'}")
        return server
    return attrs.evolve(server, autopath=source)


def _loadbalance(server: Server, directive: Directive, notes: list[str]) -> Server:
    if directive.arguments[:1] not in {(), ("round_robin",)}:
        notes.append(f"the policy {directive.arguments[0]} of the plugin loadbalance")
    return attrs.evolve(server, loadbalance=True)


def _loop(server: Server, _: Directive, __: list[str]) -> Server:
    return attrs.evolve(server, loop=True)


def _health(server: Server, directive: Directive, _: list[str]) -> Server:
    return attrs.evolve(server, health=_port(directive, 8080))


def _ready(server: Server, directive: Directive, _: list[str]) -> Server:
    return attrs.evolve(server, ready=_port(directive, 8181))


def _metrics(server: Server, directive: Directive, _: list[str]) -> Server:
    return attrs.evolve(server, metrics=_port(directive, 9153))


_READERS: Final[Mapping[str, Callable[[Server, Directive, list[str]], Server]]] = {
    "kubernetes": _kubernetes,
    "forward": _forward,
    "cache": _cache,
    "hosts": _hosts,
    "rewrite": _rewrite,
    "autopath": _autopath,
    "loadbalance": _loadbalance,
    "loop": _loop,
    "health": _health,
    "ready": _ready,
    "prometheus": _metrics,
}
