# SPDX-License-Identifier: GPL-2.0-only
"""`--set KEY=VALUE`: other values in the `Cluster` document than it has.

    KEY = step, then .step or [N] or [NODE] or ['step'], from the document's spec

    network.provider=flannel    kubeProxy.mode=none    nodes[worker-1].sysctls.net.ipv4.ip_forward=0

VALUE is YAML; `null` takes a key away. With another `network.provider` the options that
only the one before knows are left. What may hold any name (`sysctls`,
`labels`) takes the rest of KEY as one. Documents are copied, never changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu import document
from emu.cluster.topology.cluster_reader import read_cluster
from emu.cluster.topology.kind_reader import API_VERSION as KIND
from emu.cluster.topology.kind_reader import read_kind
from emu.document import Document, MappingNode, SequenceNode
from emu.document.fields import Place, Report
from emu.errors import DocumentError, Fault, did_you_mean
from emu.kube.providers import PROVIDERS, OptionsError
from emu.kube.providers.provider import UNKNOWN_OPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from emu.document import Value
    from emu.kube.cni.fields import Json

OURS: Final = "emu/v1"
_STEP: Final = re.compile(
    r"(?:^|\.)(?P<key>[^.\[\]'\"]+)|\[(?P<index>\d{1,6})\]|\[(?P<quote>['\"]?)(?P<name>[^\]'\"]+)(?P=quote)\]"
)
_FREE: Final = frozenset(("sysctls", "labels"))
_PROVIDER: Final = ("network", "provider")
_VERSIONS: Final = frozenset((OURS, KIND))


@attrs.frozen
class Setting:
    """One `KEY=VALUE`: the way to a value in the document, and what is to be there."""

    text: str
    steps: tuple[str | int, ...]
    value: Value


def with_settings(documents: Sequence[Document], texts: Iterable[str]) -> list[Document]:
    """Return documents whose `Cluster` document has other values; one is made where there is none.

    Args:
        documents: as they were read.
        texts: each `KEY=VALUE`; later ones see what earlier ones have set.

    Raises:
        DocumentError: a setting is none, leads nowhere, or the document is
            refused with it; all faults are told.
    """
    settings = _parsed(texts)
    found = [each for each in documents if _is_cluster(each)]
    old = found[0] if found else Document("--set", 1, _empty())
    name = "--set " + " ".join(each.text for each in settings)
    root = _copied(old.value)
    assert isinstance(root, MappingNode)
    is_ours = root.get("apiVersion") == OURS
    faults: list[Fault] = []
    for each in settings:
        top = _mapping(root, "spec") if is_ours else root
        message = _put(top, each.steps, each.value)
        if each.steps == _PROVIDER and not message:
            _leave_options(_mapping(top, "network"))
        if message:
            faults.append(Fault(f"--set {each.text}", 1, "$", message))
    report = Report(name, faults)
    read = read_cluster if is_ours else read_kind
    read(Place(root, report))
    report.check()
    new = attrs.evolve(old, value=root)
    return [new if each is old else each for each in documents] if found else [new, *documents]


def _is_cluster(each: Document) -> bool:
    value = each.value
    return isinstance(value, MappingNode) and (
        value.get("kind") == "Cluster" and value.get("apiVersion") in _VERSIONS
    )


def _parsed(texts: Iterable[str]) -> list[Setting]:
    settings: list[Setting] = []
    faults: list[Fault] = []
    for text in texts:
        try:
            settings.append(_setting(text))
        except DocumentError as error:
            faults += error.faults
    if faults:
        raise DocumentError(faults)
    return settings


def _setting(text: str) -> Setting:
    """Read `KEY=VALUE`.

    Raises:
        DocumentError: it has no such form.
    """
    key, equals, value = text.partition("=")
    name = f"--set {text}"
    if not equals or not key:
        raise DocumentError([Fault(name, 1, "$", "must be KEY=VALUE, like network.provider=flannel")])
    found = document.parse(value, name)
    if len(found) > 1:
        raise DocumentError([Fault(name, 1, "$", "must have one value")])
    return Setting(text, tuple(_steps(key, name)), found[0].value if found else None)


def _steps(key: str, name: str) -> Iterator[str | int]:
    at = 0
    while at < len(key):
        found = _STEP.match(key, at)
        if found is None:
            raise DocumentError([Fault(name, 1, "$", f"{key!r} is no way to a value: a.b, a[0].b, a['b.c']")])
        at = found.end()
        step: str | int = int(found["index"]) if found["index"] else found["key"] or found["name"]
        if (found.start(), step) == (0, "spec"):
            continue  # said or not, it begins there
        yield step
        if step in _FREE and key[at : at + 1] == ".":
            yield key[at + 1 :]
            return


# --- putting it there ---


def _put(root: MappingNode, steps: Sequence[str | int], value: Value) -> str:
    """Put `value` where `steps` lead; return what is wrong, empty if nothing is."""
    if not steps:
        return "must be KEY=VALUE, with a key of the document"
    at: MappingNode | SequenceNode = root
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        is_last = following is None
        if isinstance(at, SequenceNode):
            index = _index(at, step)
            if isinstance(index, str):
                return index
            if is_last:
                at[index] = value
                return ""
            inner: Value = at[index]
        elif isinstance(step, int):
            return f"[{step}] is for a list, and there is none"
        elif is_last:
            _assign(at, step, value)
            return ""
        else:
            inner = _mapping(at, step) if at.get(step) is None else at[step]
        if not isinstance(inner, MappingNode | SequenceNode):
            return f"{step} has a value and no keys"
        at = inner
    return ""


def _leave_options(network: MappingNode) -> None:
    """Take away what stands beside a provider's name and is an option of another one."""
    known = PROVIDERS.get(str(network.get("provider")))
    for key in [each for each in network if each not in {"policy", "iface", *_PROVIDER, *PROVIDERS}]:
        if (
            known is not None
            and _is_no_option(known, key)
            and any(not _is_no_option(other, key) for other in PROVIDERS.values())
        ):
            _assign(network, key, None)


def _is_no_option(provider: Callable[[Mapping[str, Json]], object], key: str) -> bool:
    try:
        provider({key: None})
    except OptionsError as error:
        return any(fault.message.startswith(UNKNOWN_OPTION) for fault in error.faults)
    return False


def _index(items: SequenceNode, step: str | int) -> int | str:
    """Return which item is meant, by number or by its name; what is wrong as text."""
    if isinstance(step, int):
        return step if step < len(items) else f"[{step}]: there are {len(items)}, counted from 0"
    names = [str(each.get("name", "")) if isinstance(each, MappingNode) else "" for each in items]
    if step in names:
        return names.index(step)
    return f"[{step}]: none is called so{did_you_mean(step, filter(None, names))}"


def _assign(mapping: MappingNode, key: str, value: Value) -> None:
    """Set a key, or take it away where the value is null."""
    if value is None and key in mapping:
        del mapping.lines[list(mapping).index(key)]
        del mapping[key]
    elif value is not None:
        if key not in mapping:
            mapping.lines.append(mapping.line)
        mapping[key] = value


def _mapping(parent: MappingNode, key: str) -> MappingNode:
    """Return the mapping at `key`, made if there is none."""
    found = parent.get(key)
    if not isinstance(found, MappingNode):
        found = MappingNode(parent.line)
        _assign(parent, key, found)
    return found


def _empty() -> MappingNode:
    made = MappingNode()
    _assign(made, "apiVersion", OURS)
    _assign(made, "kind", "Cluster")
    return made


def _copied(value: Value) -> Value:
    """Return a value that can be changed, with the lines of the old one."""
    if isinstance(value, MappingNode):
        made = MappingNode(value.line)
        made.lines = list(value.lines)
        for key, inner in value.items():
            made[key] = _copied(inner)
        return made
    if isinstance(value, SequenceNode):
        items = SequenceNode(value.line)
        items.lines = list(value.lines)
        items.extend(map(_copied, value))
        return items
    return value
