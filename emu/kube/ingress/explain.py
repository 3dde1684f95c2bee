# SPDX-License-Identifier: GPL-2.0-only
"""Why a controller answers as it does, in words, with the code that it goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emu.kube.ingress import paths
from emu.kube.ingress.servers import DEFAULT, NOWHERE

if TYPE_CHECKING:
    from emu.kube.ingress.controller import Known
    from emu.kube.ingress.servers import Location, Server


class Explanation(NamedTuple):
    """Whose rules an answer follows, in words; `code` is empty where all is well, or a packet would tell."""

    words: str
    code: str = ""


def explain(known: Known, host: str, path: str, status: int) -> Explanation:
    """Return what the rules of a controller say to a request.

    Args:
        known: what its proxies know.
        host: the field Host.
        path: without the query.
        status: what was answered.
    """
    server = known.configuration.server(host)
    normalised = paths.normalised(path)
    if normalised is None:
        return Explanation(f"{path} has a bad escape or leads above the root, and is refused before any rule")
    location = server.location(normalised)
    if location is None or location.backend == NOWHERE:
        return Explanation(_unmet(known, server, host, path), "HTTP_NO_ROUTE")
    whose = "the default backend" if location.ingress is None else f"Ingress {'/'.join(location.ingress)}"
    words = f"{whose} sends {_called(server.host)}{_written(location)} to Service {location.backend}"
    if location.is_beyond(normalised):
        return Explanation(f"{whose} has {_written(location)}, which is too much work for so long a path")
    if status == 503 and not known.endpoints.get(location.backend):
        return Explanation(f"{words}, which has no ready endpoint, or is not there", "SVC_NO_ENDPOINTS")
    if status in {502, 504}:
        return Explanation(f"{words}, whose endpoints fail")
    return Explanation(words)


def _unmet(known: Known, server: Server, host: str, path: str) -> str:
    if server.host == DEFAULT:
        names = sorted(set(known.configuration.servers) - {DEFAULT})
        there = f"there are {', '.join(names)}" if names else "there are none"
        return f"no Ingress has the host {host}: {there}"
    paths = ", ".join(f"{_written(each)} ({each.match})" for each in server.locations)
    whose = ", ".join("/".join(each) for each in server.ingresses)
    return f"Ingress {whose} has no path of {server.host} for {path}: it has {paths or 'none'}"


def _called(host: str) -> str:
    return "" if host == DEFAULT else host


def _written(location: Location) -> str:
    return location.path
