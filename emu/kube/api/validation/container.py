# SPDX-License-Identifier: GPL-2.0-only
"""The rules of containers: their names, ports and probes.

Source: `validateContainers` and what it calls, pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.ports import PROTOCOLS, check_number, check_number_or_name

if TYPE_CHECKING:
    from collections.abc import Container as Names

    from emu.kube.api.validation.field import Field

_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SECONDS: Final = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_OWN_RESTARTS_SINCE: Final = (1, 35)


def check_container(container: Field, volumes: Names[str], taken: set[str], *, is_init: bool = False) -> None:
    """Check one container of a pod.

    Args:
        container: the container.
        volumes: names of the pod's volumes.
        taken: names of the containers before it; its own is added.
        is_init: whether it is one of those that run before the others.
    """
    _check_name(container.at("name"), taken)
    if not container.at("image").value:
        container.at("image").required()
    container.at("imagePullPolicy").one_of("Always", "IfNotPresent", "Never")
    container.at("terminationMessagePolicy").one_of("FallbackToLogsOnError", "File")
    _check_ports(container)
    _check_mounts(container, volumes)
    for variable in container.items("env"):
        if variable.at("name").value == "":
            variable.at("name").required()
    _check_restarts(container, is_init=is_init)
    if is_init and container.text("restartPolicy") != "Always":
        for key in (*_PROBES, "lifecycle"):
            if container.has(key):
                container.at(key).forbidden("may not be set for init containers without restartPolicy=Always")
        return
    for key in _PROBES:
        if container.has(key):
            _check_probe(container.at(key), key)
    for key in ("postStart", "preStop"):
        if container.has("lifecycle") and container.at("lifecycle").has(key):
            _check_handler(container.at("lifecycle", key))


def _check_name(name: Field, taken: set[str]) -> None:
    if isinstance(name.value, str) and name.value:
        name.each_invalid(names.label(name.value))
        if name.value in taken:
            name.duplicate()
        taken.add(name.value)
    else:
        name.required()


def _check_restarts(container: Field, *, is_init: bool) -> None:
    policy = container.at("restartPolicy")
    if not policy.is_given:
        return
    if container.version >= _OWN_RESTARTS_SINCE:
        policy.one_of("Always", "Never", "OnFailure")
    elif is_init:
        policy.one_of("Always")
    else:
        policy.forbidden("may not be set for non-init containers")


def _check_ports(container: Field) -> None:
    taken: set[str] = set()
    for port in container.items("ports"):
        name = port.text("name")
        if complaints := names.port_name(name) if name else ():
            port.at("name").each_invalid(complaints)
        elif name in taken:
            port.at("name").duplicate()
        elif name:
            taken.add(name)
        number = port.at("containerPort")
        if number.value in (0, None):
            number.required()
        else:
            check_number(number)
        if port.at("hostPort").value:
            check_number(port.at("hostPort"))
        port.at("protocol").one_of(*PROTOCOLS)


def _check_mounts(container: Field, volumes: Names[str]) -> None:
    paths: set[str] = set()
    for mount in container.items("volumeMounts"):
        name, path = mount.text("name"), mount.text("mountPath")
        if name and name not in volumes:
            mount.at("name").not_found()
        if path in paths:
            mount.at("mountPath").invalid("must be unique")
        elif path:
            paths.add(path)


def _check_probe(probe: Field, key: str) -> None:
    _check_handler(probe)
    for number in _SECONDS:
        probe.at_least(number)
    threshold = probe.at("successThreshold")
    if key != "readinessProbe" and type(threshold.value) is int and threshold.value not in {0, 1}:
        threshold.invalid("must be 1")
    period = probe.at("terminationGracePeriodSeconds")
    if key == "readinessProbe" and period.is_given:
        period.invalid("must not be set for readinessProbes")
    elif type(period.value) is int and period.value <= 0:
        period.invalid("must be greater than 0")


def _check_handler(handler: Field) -> None:
    """Check that exactly one way to ask is said, and how."""
    given = [key for key in _HANDLERS if handler.has(key)]
    if not given:
        handler.required("must specify a handler type")
        return
    for key in given[1:]:
        handler.at(key).forbidden("may not specify more than 1 handler type")
    action = handler.at(given[0])
    match given[0]:
        case "exec":
            if not action.at("command").value:
                action.at("command").required()
        case "httpGet":
            check_number_or_name(action.at("port"))
            action.at("scheme").one_of("HTTP", "HTTPS")
        case "tcpSocket" | "grpc":
            check_number_or_name(action.at("port"))
