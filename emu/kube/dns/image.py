# SPDX-License-Identifier: GPL-2.0-only
"""CoreDNS as a program of a pod: it reads its Corefile and serves.

Not modelled: `reload` (the Corefile is read when the program starts), the wait
of `health` before the end (lameduck), and what the plugins write to the log.

Source: coredns coremain/run.go; plugin/{health,ready,metrics,loop}.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import dns.message
import dns.rcode
import dns.rdatatype

from emu.apps import dns_server
from emu.apps.http import server
from emu.apps.http.message import Response
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.kube.api.objects import ConfigMap
from emu.kube.dns.chain import LOOP_LIMIT, Chain, Request
from emu.kube.dns.corefile import CorefileError
from emu.kube.dns.directory import Directory
from emu.kube.dns.forward import Forwarder, upstreams
from emu.kube.dns.settings import Corefile, is_below, read
from emu.sim.time import MILLISECOND, SECOND
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.dns_server import Answer, Reply, Transport
    from emu.apps.http.message import Request as HttpRequest
    from emu.apps.http.server import Handler
    from emu.fabric.program import Call, Program
    from emu.fabric.userland import Userland
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.api.store import Store
    from emu.kube.dns.settings import Server
    from emu.sim.rng import Streams

KEY: Final = "Corefile"
_LOOPBACK: Final = IpAddress.parse("127.0.0.1")
_PROBE_DELAY: Final = MILLISECOND
_PROBE_PATIENCE: Final = 2 * SECOND
_METRICS: Final = (
    "# HELP coredns_up Whether the server runs; nothing else is counted.\n"
    "# TYPE coredns_up gauge\n"
    "coredns_up 1\n"
)


class CoreDns:
    """The image `coredns`: called with a container, it gives the container's programs.

    Args:
        store: the API server that the plugin `kubernetes` watches.
        streams: where the names of loop probes are drawn from.
        directory: what the plugin keeps of the API; made when the first server starts if None.
    """

    def __init__(self, store: Store, streams: Streams, directory: Directory | None = None) -> None:
        self._store = store
        self._streams = streams
        self._directory = directory
        self.warnings: list[str] = []

    def __call__(self, pod: Pod, container: Container, userland: Userland) -> Sequence[Program[int]]:
        """Return the programs of a container of this image."""
        del container
        return [self._run(pod, userland)]

    @property
    def directory(self) -> Directory:
        """What the plugin `kubernetes` keeps of the API; all replicas have one."""
        if self._directory is None:
            self._directory = Directory(self._store)
        return self._directory

    def corefile(self, pod: Pod) -> str | None:
        """Return the Corefile that a pod mounts, None if there is none."""
        found = self._store.find(ConfigMap, config_map(pod), pod.metadata.namespace)
        return None if found is None else found.data.get(KEY)

    def _run(self, pod: Pod, userland: Userland) -> Program[int]:
        text = self.corefile(pod)
        try:
            corefile = read(text) if text is not None else Corefile()
        except CorefileError as error:
            self._warn(f"pod {pod.metadata.namespace}/{pod.metadata.name}: {error}")
            return 1
        if not corefile.servers:
            return 1
        for note in corefile.not_modelled:
            self._warn(f"CoreDNS: {note} is not modelled")
        net = yield from program.call(lambda net: net)
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        chains = [self._chain(each, net, userland, name) for each in corefile.servers]
        for each in corefile.servers:
            for port, handler in _pages(each):
                yield from program.spawn(server.serve(port, handler))
        first, *others = dict.fromkeys(each.port for each in corefile.servers)
        for port in others:
            yield from program.spawn(dns_server.serve(answerer(_of_port(chains, port)), port=port))
        for chain in chains:
            if chain.probe:
                yield from program.spawn(_probe(chain))
        serving = dns_server.serve(answerer(_of_port(chains, first)), port=first)
        return (yield from _until_loop(serving, chains))

    def _chain(self, settings: Server, net: Namespace, userland: Userland, name: str) -> Chain:
        files = userland.files
        forwarders = [Forwarder(each, upstreams(each, files), net) for each in settings.forwards]
        probe = ""
        if settings.loop:
            stream = self._streams.stream(f"coredns {name} loop")
            zone = "" if settings.zones[0] == "." else settings.zones[0]
            probe = f"{stream.getrandbits(63)}.{stream.getrandbits(63)}.{zone}"
        search = next(
            (
                line.split()[1:]
                for line in files.get("/etc/resolv.conf", "").splitlines()
                if line.startswith("search")
            ),
            [],
        )
        own = [
            str(each.address)
            for device in net.devices.values()
            for each in device.addresses
            if not each.address.is_loopback
        ]
        return Chain(
            settings, self.directory, forwarders, net, lambda: self._store.loop.now, own, search, probe
        )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def config_map(pod: Pod) -> str:
    """Return the name of the ConfigMap that a pod mounts first."""
    volumes = pod.spec.rest.get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        source = volume.get("configMap") if isinstance(volume, dict) else None
        if isinstance(source, dict) and isinstance(source.get("name"), str):
            return str(source["name"])
    return "coredns"


def _of_port(chains: Sequence[Chain], port: int) -> list[Chain]:
    return [each for each in chains if each.settings.port == port]


def answerer(chains: Sequence[Chain]) -> Answer:
    """Return what answers the queries of a port: by the chain with the longest zone that fits."""

    def answer(query: dns.message.Message, client: IpAddress, transport: Transport) -> Reply | Program[Reply]:
        request = Request.of(query, client, transport)
        fitting = [
            (len(zone), -index, chain)
            for index, chain in enumerate(chains)
            for zone in chain.settings.zones
            if is_below(request.name, zone)
        ]
        if not fitting:
            return request.reply(dns.rcode.REFUSED)
        steps = max(fitting, key=lambda each: each[:2])[2].answer(request)
        try:
            first = next(steps)
        except StopIteration as end:
            made: Reply = end.value
            return made
        return _resumed(steps, first)

    return answer


def _resumed(steps: Program[dns.message.Message], call: Call) -> Program[Reply]:
    """Go on with a program whose first call is known already."""
    try:
        while True:
            try:
                result = yield call
            except OSError as error:
                call = steps.throw(error)
            else:
                call = steps.send(result)
    except StopIteration as end:
        made: Reply = end.value
        return made


def _until_loop(serving: Program[None], chains: Sequence[Chain]) -> Program[int]:
    """Serve until a probe comes back; return the exit code then."""
    call = next(serving)
    while all(each.probes_seen <= LOOP_LIMIT for each in chains):
        try:
            result = yield call
        except OSError as error:
            call = serving.throw(error)
        else:
            call = serving.send(result)
    serving.close()
    return 1


def _probe(chain: Chain) -> Program[None]:
    """Send the question that nobody else asks to ourselves, to see whether it comes back again."""
    yield from program.sleep(_PROBE_DELAY)
    query = dns.message.make_query(chain.probe, dns.rdatatype.HINFO, id=chain.net.random.getrandbits(16))
    socket = yield from program.socket(SocketKind.UDP)
    try:
        yield from program.send_to(socket, query.to_wire(), _LOOPBACK, chain.settings.port)
        yield from program.receive(socket, timeout=_PROBE_PATIENCE)
    except OSError:
        pass  # whether it came back is counted by the server
    yield from program.close(socket)


def _pages(settings: Server) -> list[tuple[int, Handler]]:
    """Return the ports of HTTP and what answers there."""
    found: list[tuple[int, Handler]] = []
    for port, path, text in (
        (settings.health, "/health", "OK"),
        (settings.ready, "/ready", "OK"),
        (settings.metrics, "/metrics", _METRICS),
    ):
        if port is not None:
            found.append((port, partial(_page, path, text)))
    return found


def _page(path: str, text: str, request: HttpRequest) -> Response:
    return Response.text(text) if request.path == path else Response.text("404 page not found\n", 404)
