# SPDX-License-Identifier: GPL-2.0-only
"""Which ports a container's program listens on, and what it answers.

What is said first wins: the annotation `emu/serve` of the pod, the image and
its arguments where everybody knows what they do, the container's ports, the
port that an image is known for.

    emu/serve: "tcp/8080, udp/53, tcp/9000=hello"   # a text to answer instead of the pod's name
    emu/serve: "none"
    emu/serve.sidecar: "tcp/15001"                  # for one container
    emu/serve: "https/8443"                         # TLS below HTTP
    emu/serve: "tcp/8080+proxy-protocol"            # behind a header of the PROXY protocol, or not at all

A port speaks TLS if it is called `https`, or is 443 or 8443, or a probe asks it by HTTPS (and it is
not 80 or 8080).

The images stand for their usual programs: what counts is who answers, on which port.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.numbers import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container, ContainerPort

ANNOTATION: Final = "emu/serve"
_ITEM: Final = re.compile(
    r"(?P<protocol>tcp|udp|sctp|https)/(?P<port>\d{1,5})(?P<proxied>\+proxy-protocol)?(?:=(?P<text>.*))?"
)
_PROTOCOLS: Final = {"https": "TCP"}
_HIGHEST_PORT: Final = 65535
_SECURE_PORTS: Final = frozenset((443, 8443))
_PLAIN_PORTS: Final = frozenset((80, 8080))


class Listener(NamedTuple):
    """A port, and what is answered: by default the pod's name (TCP), or what was sent (UDP, SCTP)."""

    protocol: str  # TCP, UDP or SCTP
    port: int
    text: str | None = None
    style: str = ""  # netexec: as agnhost's HTTP server
    is_secure: bool = False  # TLS below HTTP
    is_proxied: bool = False  # a header of the PROXY protocol below that


DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "nginx": 80,
    "httpd": 80,
    "caddy": 80,
    "whoami": 80,
    "hello-world": 80,
    "podinfo": 9898,
    "http-echo": 5678,
    "echoserver": 8080,
    "hello-app": 8080,
    "kubernetes-bootcamp": 8080,
    "httpbin": 80,
    "redis": 6379,
    "memcached": 11211,
    "postgres": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "mongo": 27017,
    "rabbitmq": 5672,
    "registry": 5000,
}
"""What images listen on whose containers name no port, by the last part of the image's name."""


def listeners(pod: Pod, container: Container) -> tuple[Listener, ...]:
    """Return what `container` listens on; each port once, as its first mention has it."""
    found = {(each.protocol, each.port): each for each in reversed(_listeners(pod, container))}
    return tuple(reversed(found.values()))


def _listeners(pod: Pod, container: Container) -> tuple[Listener, ...]:
    notes = pod.metadata.annotations
    text = notes.get(f"{ANNOTATION}.{container.name}", notes.get(ANNOTATION))
    if text is not None:
        return parse(text)
    name = image_name(container.image)
    if name in _BY_ARGUMENTS:
        found = _BY_ARGUMENTS[name](container)
        if found is not None:
            return found
    if container.ports:
        return tuple(_of_port(container, port) for port in container.ports)
    port = None if container.command else DEFAULT_PORTS.get(name)
    return () if port is None else (Listener("TCP", port),)


def _of_port(container: Container, port: ContainerPort) -> Listener:
    number = port.container_port
    probes = (container.liveness_probe, container.readiness_probe, container.startup_probe)
    asked = (each.http_get for each in probes if each is not None and each.http_get is not None)
    is_asked = any(each.scheme == "HTTPS" and each.port in {number, port.name} for each in asked)
    is_secure = port.name == "https" or number in _SECURE_PORTS or (is_asked and number not in _PLAIN_PORTS)
    return Listener(port.protocol, number, is_secure=is_secure and port.protocol == "TCP")


def is_known(container: Container) -> bool:
    """Return whether everybody knows what the arguments of the image do."""
    return image_name(container.image) in _BY_ARGUMENTS


def parse(text: str) -> tuple[Listener, ...]:
    """Return what an annotation says; items that are wrong are told by `faults` and left out here."""
    found = (_ITEM.fullmatch(item.strip()) for item in text.split(","))
    return tuple(
        Listener(
            _PROTOCOLS.get(item["protocol"], item["protocol"].upper()),
            int(item["port"]),
            item["text"],
            is_secure=item["protocol"] == "https",
            is_proxied=bool(item["proxied"]),
        )
        for item in found
        if item is not None and 0 < int(item["port"]) <= _HIGHEST_PORT
    )


def faults(text: str) -> list[str]:
    """Return the items of an annotation that cannot be read."""
    if text.strip() in {"", "none"}:
        return []
    return [item.strip() for item in text.split(",") if not parse(item)]


def image_name(image: str) -> str:
    """Return the last part of an image's name: `nginx` of `docker.io/library/nginx:1.27@sha256:...`."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _netexec(container: Container) -> tuple[Listener, ...] | None:
    """Read the arguments of agnhost, the image of Kubernetes' own tests."""
    words = [*container.command, *container.args]
    words = words[1:] if words and words[0].endswith("agnhost") else words
    match words[:1]:
        case ["netexec"]:
            return (
                Listener("TCP", _number(words, "http-port", 8080), style="netexec"),
                *_others(words, "udp-port", "UDP", 8081),
                *_others(words, "sctp-port", "SCTP", None),
            )
        case ["serve-hostname"]:
            port = _number(words, "port", 9376)
            is_udp = "--udp" in words or _value(words, "udp") == "true"
            return (Listener("TCP", port), *((Listener("UDP", port),) if is_udp else ()))
        case ["test-webserver"]:
            return (Listener("TCP", _number(words, "port", 80)),)
        case ["pause"] | []:
            return None if container.ports else ()
        case ["porter"]:
            return tuple(
                Listener("TCP" if kind == "PORT" else kind.removesuffix("_PORT"), port, variable.value)
                for variable in container.env
                for kind, number in re.findall(r"^SERVE_(PORT|UDP_PORT|SCTP_PORT)_(\d+)$", variable.name)
                if (port := _port(number))
            )
        case _:
            return None


def _http_echo(container: Container) -> tuple[Listener, ...] | None:
    """Read the arguments of hashicorp/http-echo."""
    words = [*container.command, *container.args]
    text = _value(words, "text")
    if text is None:
        return None
    port = (_value(words, "listen") or "").rpartition(":")[2]
    return (Listener("TCP", _port(port) or 5678, f"{text}\n"),)


_BY_ARGUMENTS: Final[Mapping[str, Callable[[Container], tuple[Listener, ...] | None]]] = {
    "agnhost": _netexec,
    "http-echo": _http_echo,
}


def _value(words: Sequence[str], option: str) -> str | None:
    """Return the value of `--option=V`, `-option=V` or `--option V`, None if it is not there."""
    for index, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == option:
            return value if equals else next(iter(words[index + 1 :]), "")
    return None


def _port(text: str) -> int:
    """Return the port that `text` is, 0 if it is none."""
    return whole(text, _HIGHEST_PORT) or 0


def _number(words: Sequence[str], option: str, default: int) -> int:
    return _port(_value(words, option) or "") or default


def _others(words: Sequence[str], option: str, protocol: str, default: int | None) -> tuple[Listener, ...]:
    port = 0 if _value(words, option) == "-1" else _number(words, option, default or 0)
    return (Listener(protocol, port),) if port else ()
