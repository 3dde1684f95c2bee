# SPDX-License-Identifier: GPL-2.0-only
"""A pod's host name and `/etc/hosts`.

Source: pkg/kubelet/kubelet_pods.go `managedHostsFileContent`, `GeneratePodHostNameAndDomain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emu.kube.api.objects.pod import Pod, PodSpec

_HEADER: Final = "# Kubernetes-managed hosts file"
_STANDARD: Final = """\
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
"""
_LONGEST: Final = 63


def hostname(pod: Pod, domain: str) -> str:
    """Return the name that a pod gives itself; on its node's network that is the node's."""
    spec = pod.spec
    override = spec.rest.get("hostnameOverride")
    if override:
        return str(override)
    if spec.host_network:
        return spec.node_name
    return (_fqdn(pod, domain) if spec.set_hostname_as_fqdn else "") or _short(pod)


def _short(pod: Pod) -> str:
    return (pod.spec.hostname or pod.metadata.name)[:_LONGEST].rstrip("-.")


def _fqdn(pod: Pod, domain: str) -> str:
    """Return the full name of a pod that has a subdomain, else nothing."""
    subdomain = pod.spec.subdomain
    return f"{_short(pod)}.{subdomain}.{pod.metadata.namespace}.svc.{domain}" if subdomain else ""


def of_pod(pod: Pod, address: str, domain: str) -> str:
    """Return the file of a pod with an `address` of its own."""
    full = "" if pod.spec.rest.get("hostnameOverride") else _fqdn(pod, domain)
    name = _short(pod) if full else hostname(pod, domain)
    own = f"{address}\t{full}\t{name}\n" if full else f"{address}\t{name}\n"
    return f"{_HEADER}.\n{_STANDARD}{own}{_aliases(pod.spec)}"


def of_host_network(spec: PodSpec, node: str) -> str:
    """Return the file of a pod on its node's network; `node` is the node's own file."""
    return f"{_HEADER} (host network).\n{node}{_aliases(spec)}"


def of_node(name: str, address: str) -> str:
    """Return the file of a node."""
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{name}\n"


def _aliases(spec: PodSpec) -> str:
    if not spec.host_aliases:
        return ""
    lines = "".join(f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in spec.host_aliases)
    return f"\n# Entries added by HostAliases.\n{lines}"
