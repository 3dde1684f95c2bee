# SPDX-License-Identifier: GPL-2.0-only
"""What load balancers ask a node: whether it has endpoints of a Service, and whether its proxy works.

A Service with a health check node port is answered there, all the rest on port
10256. Source: pkg/proxy/healthcheck/service_health.go, proxy_health.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emu.kube.api.objects.node import Node
from emu.kube.api.timestamps import stamp
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.http.message import Request, Response
    from emu.apps.http.server import Handler
    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.kernel.namespace import Namespace
    from emu.kube.proxy.catalogue import ServiceKey
    from emu.kube.proxy.node import Proxy

HEALTHZ_PORT: Final = 10256
_TO_BE_DELETED: Final = "ToBeDeletedByClusterAutoscaler"
_COMMON: Final = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))


def service_answer(service: ServiceKey, count: int, *, is_healthy: bool) -> Response:
    """Return what a health check node port answers.

    Args:
        service: whose port it is.
        count: how many ready endpoints of it are on the node.
        is_healthy: the proxy keeps up with changes.
    """
    from emu.apps.http.message import Response  # noqa: PLC0415 - only where somebody asks

    body = (
        "{\n"
        '\t"service": {\n'
        f'\t\t"namespace": "{service.namespace}",\n'
        f'\t\t"name": "{service.name}"\n'
        "\t},\n"
        f'\t"localEndpoints": {count},\n'
        f'\t"serviceProxyHealthy": {str(is_healthy).lower()}\n'
        "}"
    )
    headers = (*_COMMON, ("X-Load-Balancing-Endpoint-Weight", str(count)))
    return Response(200 if count and is_healthy else 503, headers, body.encode())


def proxy_answer(
    request: Request, updated: str, now: str, *, is_healthy: bool, is_eligible: bool
) -> Response:
    """Return what port 10256 answers.

    Args:
        request: what is asked; `/livez` does not mind that the node is going.
        updated: when the rules were last known to be right.
        now: the time.
        is_healthy: the proxy keeps up with changes.
        is_eligible: the node is not being deleted.
    """
    from emu.apps.http.message import Response  # noqa: PLC0415 - only where somebody asks

    if request.path not in {"/healthz", "/livez"}:
        headers = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
        return Response(404, headers, b"404 page not found\n")
    works = is_healthy and (is_eligible or request.path == "/livez")
    eligible = str(is_eligible).lower()
    body = f'{{"lastUpdated": "{updated}","currentTime": "{now}", "nodeEligible": {eligible}}}'
    return Response(200 if works else 503, _COMMON, body.encode())


class HealthServers:
    """The servers of one proxy; those of Services come and go with them.

    Args:
        fabric: where the node is.
        net: its namespace.
        proxy: whose health it is.
    """

    def __init__(self, fabric: Fabric, net: Namespace, proxy: Proxy) -> None:
        self._fabric = fabric
        self._net = net
        self._proxy = proxy
        self._healthz = self._serve(HEALTHZ_PORT, self._answer_for_proxy, (ANY_IP4,))
        self._running: dict[tuple[ServiceKey, int], list[Process[None]]] = {}

    def follow(self) -> None:
        """Have a server for each health check node port, and no other."""
        wanted = {(service, port) for service, (port, _) in self._proxy.health.items()}
        for key in sorted(self._running.keys() - wanted):
            for process in self._running.pop(key):
                process.kill()
        served = self._proxy.served
        addresses = (ANY_IP4,) if served is None else tuple(map(IpAddress.parse, served))
        for key in sorted(wanted - self._running.keys()):
            self._running[key] = self._serve(key[1], self._answer_for(key[0]), addresses)

    def stop(self) -> None:
        """End all servers."""
        for processes in (self._healthz, *self._running.values()):
            for process in processes:
                process.kill()
        self._running.clear()

    def _serve(self, port: int, handler: Handler, addresses: Sequence[IpAddress]) -> list[Process[Any]]:
        from emu.apps.http.server import serve  # noqa: PLC0415 - h11 is not for every run

        return [self._fabric.spawn(self._net, serve(port, handler, address)) for address in addresses]

    def _answer_for(self, service: ServiceKey) -> Handler:
        def answer(_: Request) -> Response:
            _port, count = self._proxy.health.get(service, (0, 0))
            return service_answer(service, count, is_healthy=self._proxy.is_healthy)

        return answer

    def _answer_for_proxy(self, request: Request) -> Response:
        proxy = self._proxy
        store = proxy.store
        node = store.find(Node, proxy.config.node_name)
        going = node is not None and (
            node.metadata.is_terminating or any(taint.key == _TO_BE_DELETED for taint in node.spec.taints)
        )
        now = store.loop.now
        updated = now if proxy.pending_since is None else proxy.last_sync
        return proxy_answer(
            request,
            _text(stamp(updated, store.epoch)),
            _text(stamp(now, store.epoch)),
            is_healthy=proxy.is_healthy,
            is_eligible=not going,
        )


def _text(when: str) -> str:
    """Return a time as Go prints it."""
    return f"{when[:10]} {when[11:].removesuffix('Z')} +0000 UTC"
