# SPDX-License-Identifier: GPL-2.0-only
"""Containers: their ports, probes and states. Source: staging/src/k8s.io/api/core/v1/types.go."""

from __future__ import annotations

import attrs

from emu.kube.api.objects.field import Rest, kept, rest


@attrs.frozen
class ContainerPort:
    """A port that a container says it listens on; a `host_port` of 0 is none."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = attrs.field(default=0, metadata={"omit": 0})
    host_ip: str = ""
    rest: Rest = rest()


@attrs.frozen
class HttpHeader:
    """A header of a probe."""

    name: str
    value: str = ""
    rest: Rest = rest()


@attrs.frozen
class HttpGet:
    """A probe by HTTP; `port` is a number or a port's name, an empty `host` the pod's address."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class TcpSocket:
    """A probe by a connection."""

    port: int | str
    host: str = ""
    rest: Rest = rest()


@attrs.frozen
class Exec:
    """A probe or hook by a command inside the container."""

    command: tuple[str, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class Probe:
    """A question to a container, asked again and again; times are seconds."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    initial_delay_seconds: int = attrs.field(default=0, metadata={"omit": 0})
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    rest: Rest = rest()


@attrs.frozen
class EnvVar:
    """A variable of a container's environment."""

    name: str
    value: str = ""
    rest: Rest = rest()


@attrs.frozen
class Container:
    """A container of a pod. `restart_policy` Always makes an init container a sidecar."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    restart_policy: str = ""
    rest: Rest = rest()


@attrs.frozen
class Running:
    """A container runs since."""

    started_at: str | None = None
    rest: Rest = rest()


@attrs.frozen
class Waiting:
    """A container does not run yet, for a reason."""

    reason: str = ""
    message: str = ""
    rest: Rest = rest()


@attrs.frozen
class Terminated:
    """A container has ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    signal: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    rest: Rest = rest()


@attrs.frozen
class ContainerState:
    """One of three, the others None."""

    running: Running | None = None
    waiting: Waiting | None = None
    terminated: Terminated | None = None
    rest: Rest = rest()


@attrs.frozen
class ContainerStatus:
    """What the kubelet knows of a container."""

    name: str
    ready: bool = kept()
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    image: str = ""
    image_id: str = ""
    container_id: str = ""
    rest: Rest = rest()
