# SPDX-License-Identifier: GPL-2.0-only
"""A pod's `/etc/resolv.conf`, by its dnsPolicy. Source: pkg/kubelet/network/dns/dns.go."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

import attrs

if TYPE_CHECKING:
    from emu.kube.api.objects.pod import DnsConfig, PodSpec

MOST_SERVERS: Final = 3
MOST_SEARCHES: Final = 32
MOST_CHARACTERS: Final = 2048  # of the search list
_NDOTS: Final = "ndots:5"


@attrs.frozen
class ResolvConf:
    """What such a file says; `str()` of it is the file as containerd writes it."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` says; the last of several `search` lines counts. Source: resolv.conf(5)."""
        servers: list[str] = []
        searches: tuple[str, ...] = ()
        options: list[str] = []
        for line in text.splitlines():
            word, *values = line.split() or [""]
            if word == "nameserver" and values:
                servers.append(values[0])
            elif word in {"search", "domain"}:
                searches = tuple(values)
            elif word == "options":
                options += values
        return cls(tuple(servers), searches, tuple(options))

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {server}" for server in self.servers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


@attrs.frozen
class ClusterDns:
    """Where the cluster's DNS is, and what it is about; without `servers` there is none."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def of_pod(spec: PodSpec, namespace: str, cluster: ClusterDns, node: str) -> tuple[ResolvConf, str]:
    """Return the file of a pod, and the kubelet's words for what was cut off it (empty: nothing).

    Args:
        spec: of the pod.
        namespace: of the pod.
        cluster: the cluster's DNS.
        node: the node's own file, as text.
    """
    policy = spec.dns_policy
    if policy == "ClusterFirst" and (spec.host_network or not cluster.servers):
        policy = "Default"
    if policy == "None":
        base = ResolvConf()
    elif policy == "Default":
        base = ResolvConf.parse(node)
    else:
        base = _cluster_first(namespace, cluster, node)
    return _fit(_with_config(base, spec.dns_config) if spec.dns_config is not None else base)


@lru_cache(maxsize=1024)
def _cluster_first(namespace: str, cluster: ClusterDns, node: str) -> ResolvConf:
    domain = cluster.domain
    searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *ResolvConf.parse(node).searches)
    return ResolvConf(cluster.servers, tuple(dict.fromkeys(searches)), (_NDOTS,))


def _with_config(base: ResolvConf, config: DnsConfig) -> ResolvConf:
    """Add what the pod's dnsConfig says; an option of the same name replaces one."""
    options = {option.partition(":")[0]: option for option in base.options}
    for option in config.options:
        options[option.name] = option.name if option.value is None else f"{option.name}:{option.value}"
    return ResolvConf(
        tuple(dict.fromkeys((*base.servers, *config.nameservers))),
        tuple(dict.fromkeys((*base.searches, *config.searches))),
        tuple(options.values()),
    )


def _fit(found: ResolvConf) -> tuple[ResolvConf, str]:
    """Cut what is more than the resolver takes, and say so as the kubelet does."""
    words = []
    servers, searches = found.servers[:MOST_SERVERS], found.searches[:MOST_SEARCHES]
    while len(" ".join(searches)) > MOST_CHARACTERS:
        searches = searches[:-1]
    if searches != found.searches:
        words.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(searches)}"
        )
    if servers != found.servers:
        words.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(servers)}"
        )
    if not words:
        return found, ""
    return attrs.evolve(found, servers=servers, searches=searches), "; ".join(words)
