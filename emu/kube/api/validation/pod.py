# SPDX-License-Identifier: GPL-2.0-only
"""The rules of Pods and of the templates they are made from.

Source: `ValidatePodSpec` of pkg/apis/core/validation/validation.go, `warningsForPodSpecAndMeta`
of pkg/api/pod/warnings.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.addresses import check_ip
from emu.kube.api.validation.container import check_container
from emu.kube.api.validation.metadata import check_annotations, check_labels, check_metadata
from emu.kube.api.validation.scheduling import check_scheduling

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

_MAX_NAMESERVERS: Final = 3
_MAX_SEARCHES: Final = 32
_MAX_SEARCH_CHARACTERS: Final = 2048


def check_pod(pod: Field) -> None:
    """Check a Pod."""
    check_metadata(pod.at("metadata"), names.subdomain)
    check_pod_spec(pod.at("spec"))
    status = pod.at("status")
    for address in (status.at("podIP"), status.at("hostIP")):
        if address.value:
            check_ip(address)
    for entry in (*status.items("podIPs"), *status.items("hostIPs")):
        check_ip(entry.at("ip"))


def check_template(template: Field) -> None:
    """Check the template of pods."""
    check_labels(template.at("metadata", "labels"))
    check_annotations(template.at("metadata", "annotations"))
    spec = template.at("spec")
    check_pod_spec(spec)
    if spec.at("ephemeralContainers").value:
        spec.at("ephemeralContainers").forbidden("ephemeral containers not allowed in pod template")


def check_pod_spec(spec: Field) -> None:
    """Check what a pod is to be."""
    _check_containers(spec)
    _check_host_ports(spec)
    spec.at("restartPolicy").one_of("Always", "OnFailure", "Never")
    _check_dns(spec)
    for key in ("hostname", "subdomain"):
        if text := spec.text(key):
            spec.at(key).each_invalid(names.label(text))
    for key in ("nodeName", "serviceAccountName", "priorityClassName"):
        if text := spec.text(key):
            spec.at(key).each_invalid(names.subdomain(text))
    for alias in spec.items("hostAliases"):
        check_ip(alias.at("ip"))
        for name in alias.items("hostnames"):
            if isinstance(name.value, str):
                name.each_invalid(names.subdomain(name.value))
    spec.at_least("terminationGracePeriodSeconds")
    check_scheduling(spec)


def _check_containers(spec: Field) -> None:
    volumes = _volumes(spec)
    taken: set[str] = set()
    if not spec.at("containers").value:
        spec.at("containers").required()
    for container in spec.items("containers"):
        check_container(container, volumes, taken)
    for container in spec.items("initContainers"):
        check_container(container, volumes, taken, is_init=True)


def _volumes(spec: Field) -> set[str]:
    """Check the names of the volumes, and return them."""
    taken: set[str] = set()
    for volume in spec.items("volumes"):
        name = volume.text("name")
        if name:
            volume.at("name").each_invalid(names.label(name))
        if name and name in taken:
            volume.at("name").duplicate()
        taken.add(name)
    return taken


def _check_host_ports(spec: Field) -> None:
    """Check that the ports on the node do not collide; warn of one container port told twice."""
    host_network = spec.flag("hostNetwork")
    taken: set[str] = set()
    seen: dict[tuple[str, int], Field] = {}
    for container in spec.items("containers"):
        for port in container.items("ports"):
            number, host_port = port.number("containerPort"), port.number("hostPort") or 0
            protocol = port.text("protocol") or "TCP"
            if host_port:
                key = f"{protocol}/{port.text('hostIP')}/{host_port}"
                if key in taken:
                    port.at("hostPort").duplicate(key)
                taken.add(key)
            if host_network and host_port not in {0, number}:
                port.at("hostPort").invalid("must match `containerPort` when `hostNetwork` is true")
            if number is not None:
                first = seen.setdefault((protocol, number), port)
                if first is not port:
                    _warn_of_twice(first, port)


def _warn_of_twice(first: Field, port: Field) -> None:
    same = all(first.at(key).value == port.at(key).value for key in ("hostPort", "hostIP"))
    what = "duplicate" if same else "overlapping"
    port.warn(f"{what} port definition with {first.path.removeprefix(f'{port.report.manifest.path}.')}")


def _check_dns(spec: Field) -> None:
    policy, config = spec.at("dnsPolicy"), spec.at("dnsConfig")
    policy.one_of("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    servers, searches = config.at("nameservers"), config.at("searches")
    if policy.value == "None":
        if not config.is_given:
            config.required("must provide `dnsConfig` when `dnsPolicy` is None")
        elif not servers.value:
            servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None")
    if len(servers.elements()) > _MAX_NAMESERVERS:
        servers.invalid(f"must not have more than {_MAX_NAMESERVERS} nameservers")
    for server in servers.elements():
        check_ip(server)
    paths = [search for search in searches.elements() if isinstance(search.value, str)]
    if len(paths) > _MAX_SEARCHES:
        searches.invalid(f"must not have more than {_MAX_SEARCHES} search paths")
    if len(" ".join(str(path.value) for path in paths)) > _MAX_SEARCH_CHARACTERS:
        limit = f"{_MAX_SEARCH_CHARACTERS} characters (including spaces)"
        searches.invalid(f"must not have more than {limit} in the search list")
    for path in paths:
        if path.value != ".":
            path.each_invalid(names.search_path(str(path.value).removesuffix(".")))
    for option in config.items("options"):
        if not option.text("name"):
            option.required("must not be empty")
