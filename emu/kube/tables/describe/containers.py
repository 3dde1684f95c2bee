# SPDX-License-Identifier: GPL-2.0-only
"""The containers of a pod or of a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.tables.cells.others import inner
from emu.kube.tables.cells.words import NONE, host_port
from emu.kube.tables.describe import resources
from emu.kube.tables.describe.page import date

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import (
        Container,
        ContainerPort,
        ContainerState,
        ContainerStatus,
        EnvVar,
        Probe,
    )
    from emu.kube.api.objects.field import Json
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World

_DETAIL: Final = 2  # levels of indent of what is said of a container
_DEEPER: Final = 3


def write(
    page: Page,
    title: str,
    containers: Sequence[Container],
    world: World,
    *,
    statuses: Sequence[ContainerStatus] = (),
    pod: Pod | None = None,
) -> None:
    """Write some containers. Those of a template have no `pod`, and their names stand one blank deeper."""
    margin, name_margin = ("", "") if pod else ("  ", " ")
    page.line(f"{margin}{title}:{'' if containers else f' {NONE}'}")
    by_name = {status.name: status for status in statuses}
    for container in containers:
        page.line(f"{name_margin}{container.name}:", 1)
        _container(page, container, by_name.get(container.name), world, pod)


def _container(
    page: Page, container: Container, status: ContainerStatus | None, world: World, pod: Pod | None
) -> None:
    if status:
        page.field("Container ID", status.container_id, _DETAIL)
    page.field("Image", container.image, _DETAIL)
    if status:
        page.field("Image ID", status.image_id, _DETAIL)
    with_names = world.is_from(1, 34)
    ports = [_port(port, port.container_port, with_names=with_names) for port in container.ports]
    host_ports = [_port(port, port.host_port, with_names=with_names) for port in container.ports]
    for name, texts in (("Port", ports), ("Host Port", host_ports)):
        page.field(name + ("s" if len(texts) > 1 else ""), ", ".join(texts) or NONE, _DETAIL)
    for name, words in (("Command", container.command), ("Args", container.args)):
        _lines(page, name, [line for word in words for line in word.split("\n")])
    if status:
        _state(page, "State", status.state)
        if status.last_state.terminated:
            _state(page, "Last State", status.last_state)
        page.field("Ready", status.ready, _DETAIL)
        page.field("Restart Count", status.restart_count, _DETAIL)
    for name in ("Limits", "Requests"):
        amounts = resources.written(container, name.lower())
        _lines(page, name, [f"{key}:\t{amount}" for key, amount in amounts.items()])
    for name, probe in (
        ("Liveness", container.liveness_probe),
        ("Readiness", container.readiness_probe),
        ("Startup", container.startup_probe),
    ):
        if probe:
            page.field(name, probe_text(probe), _DETAIL)
    _lines(page, "Environment Variables from", _sources(container))
    environment = [line for variable in container.env for line in _variable(variable, container, pod)]
    _lines(page, "Environment", environment, or_none=True)
    _lines(page, "Mounts", _mounts(container), or_none=True)


def _lines(page: Page, title: str, lines: Sequence[str], *, or_none: bool = False) -> None:
    """Write a title and lines beneath it; without lines nothing, or that there are none."""
    if lines:
        page.line(f"{title}:", _DETAIL)
    elif or_none:
        page.field(title, NONE, _DETAIL)
    for line in lines:
        page.line(line, _DEEPER)


def _port(port: ContainerPort, number: int, *, with_names: bool) -> str:
    name = f" ({port.name})" if port.name and with_names else ""
    return f"{number}/{port.protocol}{name}"


def _state(page: Page, title: str, state: ContainerState) -> None:
    if running := state.running:
        page.field(title, "Running", _DETAIL)
        page.field("Started", date(running.started_at), _DEEPER)
    elif ended := state.terminated:
        page.field(title, "Terminated", _DETAIL)
        if ended.reason:
            page.field("Reason", ended.reason, _DEEPER)
        if ended.message:
            page.field("Message", ended.message, _DEEPER)
        page.field("Exit Code", ended.exit_code, _DEEPER)
        if ended.signal:
            page.field("Signal", ended.signal, _DEEPER)
        page.field("Started", date(ended.started_at), _DEEPER)
        page.field("Finished", date(ended.finished_at), _DEEPER)
    else:
        page.field(title, "Waiting", _DETAIL)
        if state.waiting and state.waiting.reason:
            page.field("Reason", state.waiting.reason, _DEEPER)


def probe_text(probe: Probe) -> str:
    """Return a probe: what it asks, as `http-get http://:80/healthz`, and its times and thresholds."""
    times = (
        f"delay={probe.initial_delay_seconds}s timeout={probe.timeout_seconds}s "
        f"period={probe.period_seconds}s "
        f"#success={probe.success_threshold} #failure={probe.failure_threshold}"
    )
    if probe.exec:
        return f"exec [{' '.join(probe.exec.command)}] {times}"
    if get := probe.http_get:
        path = get.path if get.path.startswith("/") or not get.path else f"/{get.path}"
        return f"http-get {get.scheme.lower()}://{host_port(get.host, get.port)}{path} {times}"
    if socket := probe.tcp_socket:
        return f"tcp-socket {socket.host}:{socket.port} {times}"
    if isinstance(grpc := probe.rest.get("grpc"), dict):
        return f"grpc <pod>:{grpc.get('port')} {grpc.get('service') or ''} {times}"
    return f"unknown {times}"


# --- environment and mounts ---


def _variable(variable: EnvVar, container: Container, pod: Pod | None) -> list[str]:
    """Return the lines of a variable, the ones of a long value below each other."""
    source = variable.rest.get("valueFrom")
    if not isinstance(source, dict):
        first, *others = variable.value.split("\n")
        return [f"{variable.name}:\t{first}", *(f"\t{line}" for line in others)]
    if isinstance(field := source.get("fieldRef"), dict):
        path = str(field.get("fieldPath") or "")
        value = field_of(pod, path) if pod else ""
        return [f"{variable.name}:\t{value} ({field.get('apiVersion') or 'v1'}:{path})"]
    if isinstance(amount := source.get("resourceFieldRef"), dict):
        resource = str(amount.get("resource") or "")
        which, _, name = resource.partition(".")
        value = str(resources.asked(container, which).get(name, resources.Quantity()))
        if value == "0" and which == "limits" and name in {"cpu", "memory"}:
            value = "node allocatable"
        return [f"{variable.name}:\t{value} ({resource})"]
    for key, words in (("secretKeyRef", "in secret"), ("configMapKeyRef", "of config map")):
        if isinstance(found := source.get(key), dict):
            place = f"<set to the key '{found.get('key')}' {words} '{found.get('name')}'>"
            return [f"{variable.name}:\t{place}\tOptional: {_optional(found)}"]
    return []


def field_of(pod: Pod, path: str) -> str:
    """Return what a field of a pod holds, as far as the environment may ask for it."""
    name, _, key = path.removesuffix("']").partition("['")
    if name == "metadata.labels":
        return pod.metadata.labels.get(key, "")
    if name == "metadata.annotations":
        return pod.metadata.annotations.get(key, "")
    return {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": pod.status.host_ip,
        "status.hostIPs": ",".join(one.ip for one in pod.status.host_ips),
        "status.podIP": pod.status.pod_ip,
        "status.podIPs": ",".join(one.ip for one in pod.status.pod_ips),
    }.get(path, "")


def _sources(container: Container) -> list[str]:
    lines = []
    for each in _items(container.rest.get("envFrom")):
        prefix = f" with prefix '{each['prefix']}'" if each.get("prefix") else ""
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if isinstance(found := each.get(key), dict):
                lines.append(f"{found.get('name')}\t{kind}{prefix}\tOptional: {_optional(found)}")
    return lines


def _mounts(container: Container) -> list[str]:
    lines = []
    for each in sorted(
        _items(container.rest.get("volumeMounts")), key=lambda mount: str(mount.get("mountPath"))
    ):
        path = f',path="{each["subPath"]}"' if each.get("subPath") else ""
        mode = "ro" if inner(each, "readOnly") else "rw"
        lines.append(f"{each.get('mountPath')} from {each.get('name')} ({mode}{path})")
    return lines


def _items(value: Json) -> list[dict[str, Json]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _optional(source: dict[str, Json]) -> str:
    return str(bool(source.get("optional"))).lower()
