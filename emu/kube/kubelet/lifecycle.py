# SPDX-License-Identifier: GPL-2.0-only
"""How a container ends: its preStop hook, and what its program does when it is told to.

A program exits at once when it gets SIGTERM, unless the pod says otherwise by
an annotation of emu, for all containers or for one of them:

    emu/shutdown: exit              # the default
    emu/shutdown: drain 5s          # takes no new connections; ends when those it has have had 5 s
    emu/shutdown: ignore            # goes on until it is killed, as a shell that is process 1 does
    emu/shutdown.sidecar: drain 1s  # for one container

Source: pkg/kubelet/lifecycle/handlers.go, pkg/kubelet/kuberuntime/kuberuntime_container.go `killContainer`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from emu.apps import console
from emu.apps.http import client
from emu.apps.http.message import Request
from emu.errors import AddressError
from emu.fabric import program
from emu.kube.kubelet.ports import port_number
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.api.objects.field import Json

ANNOTATION: Final = "emu/shutdown"
_SLEEP: Final = re.compile(r"(?:^|\W)sleep +(\d+)\b")
_SHUTDOWN: Final = re.compile(r"(?P<word>exit|ignore)|drain (?P<seconds>\d{1,5})s")


class Shutdown(NamedTuple):
    """What a program does at SIGTERM, and for how many seconds."""

    word: Literal["exit", "drain", "ignore"] = "exit"
    seconds: int = 0


def shutdown_of(pod: Pod, container: Container) -> Shutdown:
    """Return what the program of a container does at SIGTERM."""
    notes = pod.metadata.annotations
    text = notes.get(f"{ANNOTATION}.{container.name}", notes.get(ANNOTATION, "exit"))
    found = _SHUTDOWN.fullmatch(text.strip())
    if found is None or found["word"] == "exit":
        return Shutdown()
    return Shutdown("ignore") if found["word"] else Shutdown("drain", int(found["seconds"]))


def faults(text: str) -> list[str]:
    """Return what is wrong with an annotation: the text itself, or nothing."""
    return [] if _SHUTDOWN.fullmatch(text.strip()) else [text]


def _hook(container: Container) -> Mapping[str, Json]:
    lifecycle = container.rest.get("lifecycle")
    hook = lifecycle.get("preStop") if isinstance(lifecycle, dict) else None
    return hook if isinstance(hook, dict) else {}


def is_modelled(container: Container, missing: Callable[[Sequence[str]], str]) -> bool:
    """Return whether emu does what the preStop hook says; `missing` says what of a command it does not."""
    hook = _hook(container)
    if isinstance(hook.get("sleep"), dict) or isinstance(hook.get("httpGet"), dict):
        return True
    command = _command(hook)
    return bool(command) and (_sleeps(command) > 0 or not missing(command))


def pre_stop(
    container: Container,
    address: IpAddress | None,
    userland: Userland | None,
    missing: Callable[[Sequence[str]], str],
) -> tuple[Program[None], bool] | None:
    """Return the preStop hook of a container, and whether it runs in the pod; None if there is none to run.

    Args:
        container: whose it is.
        address: of the pod, for a hook that asks it by HTTP, from the node.
        userland: of the container, for one that is a command.
        missing: says what of a command is not modelled, empty for one that is.
    """
    hook = _hook(container)
    sleep, get = hook.get("sleep"), hook.get("httpGet")
    if isinstance(sleep, dict):
        seconds = sleep.get("seconds")
        return (program.sleep(seconds * SECOND), True) if isinstance(seconds, int) and seconds > 0 else None
    if isinstance(get, dict) and address is not None:
        return _get(get, container, address), False
    command = _command(hook)
    if command and userland is not None and not missing(command):
        return _run(command, userland), True
    seconds = _sleeps(command)
    return (program.sleep(seconds * SECOND), True) if seconds else None


def _command(hook: Mapping[str, Json]) -> list[str]:
    execute = hook.get("exec")
    command = execute.get("command") if isinstance(execute, dict) else None
    return list(map(str, command)) if isinstance(command, list) else []


def _sleeps(command: Sequence[str]) -> int:
    """Return for how many seconds a command sleeps, whatever else it does."""
    found = _SLEEP.search(" ".join(command))
    return int(found[1]) if found is not None else 0


def _run(command: Sequence[str], userland: Userland) -> Program[None]:
    yield from console.run(command, userland)


def _get(get: Mapping[str, Json], container: Container, address: IpAddress) -> Program[None]:
    """Ask the pod by HTTP; whatever it answers, the hook is over then."""
    port, path, host = get.get("port"), get.get("path"), get.get("host")
    target = path if isinstance(path, str) and path.startswith("/") else f"/{path or ''}"
    number = port_number(port if isinstance(port, int | str) else 0, container)
    try:
        where = IpAddress.parse(host) if isinstance(host, str) and host else address
    except AddressError:
        return
    request = Request("GET", target, (("User-Agent", "kube-lifecycle"), ("Connection", "close")))
    yield from client.fetch(where, number, request)
