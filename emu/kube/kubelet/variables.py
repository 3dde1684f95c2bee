# SPDX-License-Identifier: GPL-2.0-only
"""The variables that a container's manifest gives it: values, and where they come from.

Source: pkg/kubelet/kubelet_pods.go `makeEnvironmentVariables`, third_party/forked/golang/expansion.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.objects import ConfigMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.fabric.userland import Userland
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.api.objects.field import Json
    from emu.kube.api.store import Store

_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
_ENTRY: Final = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class Addresses(NamedTuple):
    """Of a pod, and of its node."""

    pod: str
    node: str


def of_container(
    store: Store, pod: Pod, container: Container, addresses: Addresses, others: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of `envFrom` and `env`.

    Args:
        store: where ConfigMaps and Secrets are.
        pod: whose container it is.
        container: the container.
        addresses: of the pod and of its node.
        others: variables that there are already, which values may refer to.
    """
    found = dict(_from_whole(store, pod.metadata.namespace, container.rest.get("envFrom")))
    for variable in container.env:
        source = variable.rest.get("valueFrom")
        if isinstance(source, dict):
            value = _from_source(store, pod, source, addresses)
            if value is not None:
                found[variable.name] = value
        else:
            found[variable.name] = expanded(variable.value, {**others, **found})
    return found


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with `$(NAME)` replaced where there is such a variable; `$$` stands for `$`."""

    def replace(reference: re.Match[str]) -> str:
        name = reference[1]
        return "$" if name is None else variables.get(name, reference[0])

    return _REFERENCE.sub(replace, text) if "$" in text else text


def command_of(container: Container, userland: Userland) -> Sequence[str]:
    """Return command and arguments of a container as they are run."""
    words = [*container.command, *container.args]
    if any("$" in word for word in words):  # its environment is made when somebody needs it
        return [expanded(word, userland.environment) for word in words]
    return words


def _from_whole(store: Store, namespace: str, sources: Json) -> Iterable[tuple[str, str]]:
    """Yield what `envFrom` gives, the later ones last."""
    for source in sources if isinstance(sources, list) else ():
        if not isinstance(source, dict):
            continue
        prefix = source.get("prefix") or ""
        for key in ("configMapRef", "secretRef"):
            reference = source.get(key)
            if isinstance(reference, dict):
                for name, value in _data(store, key, namespace, reference).items():
                    yield f"{prefix}{name}", value


def _from_source(store: Store, pod: Pod, source: Mapping[str, Json], addresses: Addresses) -> str | None:
    """Return the value that `valueFrom` names, None if there is none."""
    for kind, reference in source.items():
        if not isinstance(reference, dict):
            continue
        if kind == "fieldRef":
            return _field(pod, str(reference.get("fieldPath", "")), addresses)
        if kind in {"configMapKeyRef", "secretKeyRef"}:
            return _data(store, kind, pod.metadata.namespace, reference).get(str(reference.get("key")))
    return None


def _field(pod: Pod, path: str, addresses: Addresses) -> str | None:
    """Return a field of the pod, as the downward API gives it."""
    meta, spec = pod.metadata, pod.spec
    entry = _ENTRY.fullmatch(path)
    if entry is not None:
        return (meta.labels if entry[1] == "labels" else meta.annotations).get(entry[2], "")
    return {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": spec.node_name,
        "spec.serviceAccountName": spec.service_account_name,
        "status.podIP": addresses.pod,
        "status.podIPs": addresses.pod,
        "status.hostIP": addresses.node,
        "status.hostIPs": addresses.node,
    }.get(path)


def _data(store: Store, kind: str, namespace: str, reference: Mapping[str, Json]) -> dict[str, str]:
    """Return what a ConfigMap or a Secret holds; nothing if there is none such."""
    name = str(reference.get("name"))
    if kind.startswith("configMap"):
        config = store.find(ConfigMap, name, namespace)
        return {} if config is None else dict(config.data)
    secret = store.others.get(("Secret", namespace, name))
    if secret is None:
        return {}
    data, plain = secret.rest.get("data"), secret.rest.get("stringData")
    found = {key: _decoded(value) for key, value in data.items()} if isinstance(data, dict) else {}
    return found | ({key: str(value) for key, value in plain.items()} if isinstance(plain, dict) else {})


def _decoded(value: Json) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
