# SPDX-License-Identifier: GPL-2.0-only
"""What pods ask for that is not modelled, in a line for each sort of thing.

Only what can change who reaches whom, or when, is told: volumes, resources and
security contexts are not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.apps import commands, console
from emu.apps.tools import sh
from emu.errors import CommandError
from emu.kube.kubelet import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects.container import Container, Probe
    from emu.kube.api.objects.pod import PodSpec

_SHELLS: Final = frozenset(("sh", "ash", "bash", "dash"))
_FOLDERS: Final = re.compile(r"/(?:usr/)?(?:local/)?s?bin/")
_IDLE: Final = re.compile(
    r"(?:trap\b[^;]*;\s*)?(?:while (?:true|:)\s*;\s*do\s+sleep\s+\S+\s*;?\s*done|sleep\s+infinity"
    r"|tail\s+-f\s+/dev/null)(?:\s*&\s*wait\s*;?)?\s*;?"
)
_OF_POD: Final = {
    "shareProcessNamespace": "containers of a pod do not see each other's processes",
    "ephemeralContainers": "ephemeral containers are not started",
    "runtimeClassName": "every pod has the same runtime",
}


def of_pod(spec: PodSpec) -> Iterator[str]:
    """Yield a line for each sort of thing that is not modelled in a pod."""
    for key, words in _OF_POD.items():
        if spec.rest.get(key):
            yield f"{key} is not modelled: {words}"
    for container in (*spec.init_containers, *spec.containers):
        yield from _of_container(container)


def _of_container(container: Container) -> Iterator[str]:
    hooks = container.rest.get("lifecycle")
    if isinstance(hooks, dict):
        if hooks.get("postStart"):
            yield "postStart hooks are not modelled: nothing is done after the start of a container"
        if hooks.get("preStop") and not lifecycle.is_modelled(container, of_command):
            yield "preStop hooks whose command is not modelled take no time and do nothing"
    if any("resourceFieldRef" in str(each.rest.get("valueFrom", "")) for each in container.env):
        yield "resourceFieldRef is not modelled: such variables are not set"
    for probe in (container.startup_probe, container.liveness_probe, container.readiness_probe):
        if probe is not None:
            yield from _of_probe(probe)


def _of_probe(probe: Probe) -> Iterator[str]:
    if "grpc" in probe.rest:
        yield "gRPC is not modelled: such a probe succeeds if its port accepts a connection"
    if probe.exec is not None:
        name = of_command(probe.exec.command)
        if name:
            yield f"probes by commands that are not modelled succeed ({name})"


def of_command(command: Sequence[str]) -> str:
    """Return what of a command line is not modelled, nothing if all of it is."""
    if not command:
        return ""
    name, *arguments = command
    name = _FOLDERS.sub("", name)
    if name in _SHELLS and arguments[:1] and arguments[0] in {"-c", "-ec", "-xc"} and arguments[1:]:
        try:
            simple = sh.parse(arguments[1], {})
        except CommandError as error:
            return str(error)
        names = (each.argv[0] for each in simple)
        return next((each for each in names if each != "exit" and not _is_known(each)), "")
    return "" if _is_known(name) else name


def is_idle(command: Sequence[str]) -> bool:
    """Return whether a command line only keeps its container alive."""
    words = [_FOLDERS.sub("", word) for word in command[:1]] + list(command[1:])
    match words:
        case ["tail", "-f", "/dev/null"] | ["pause" | "/pause", *_]:
            return True
        case [name, "-c" | "-ec" | "-xc", line, *_] if name in _SHELLS:
            return _IDLE.fullmatch(line.strip()) is not None
        case _:
            return False


def _is_known(name: str) -> bool:
    name = _FOLDERS.sub("", name)
    return name in console.TOOLS or name in commands.COMMANDS
