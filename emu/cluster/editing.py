# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a `Scenario` that change objects, in kubectl's words and with its answers.

apply -f policy.yaml
delete networkpolicy/deny -n shop
label pod/web-0 app=web2 --overwrite
run probe --image=curlimages/curl --labels=app=probe
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import attrs

from emu.apps.tools.finished import Finished
from emu.cluster.points import DEFAULT_NAMESPACE, find_object, is_kind, parse_point
from emu.cluster.sources import read_all
from emu.errors import CommandError, UnknownNameError
from emu.kube.api import codec, selectors
from emu.kube.api.objects import KINDS, Other
from emu.kube.tables import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.topology.spec import Source
    from emu.kube.api.objects import Known, Object

_HIGHEST_PORT: Final = 65535
_KEY: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@attrs.frozen
class Given:
    """The objects of the files that a step names, and where each stands in the input."""

    objects: tuple[Object, ...] = ()
    sources: tuple[Source, ...] = ()


Deed: TypeAlias = "Callable[[Cluster], Finished]"
"""What a step does, once its words are read."""

Edit: TypeAlias = "Callable[[Cluster, Given], Finished]"
"""The same of a step with files."""


class _Words(argparse.ArgumentParser):
    """Arguments; what is wrong with them becomes a `CommandError`."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"error: {message}", 1)


def parser_of(verb: str, *, objects: bool = True) -> argparse.ArgumentParser:
    """Return what reads the arguments of a verb: a namespace, and unless told otherwise which `objects`.

    What is wrong with them becomes a `CommandError`.
    """
    parser = _Words(verb, add_help=False, allow_abbrev=False)
    parser.add_argument("-n", "--namespace", default=DEFAULT_NAMESPACE)
    if objects:
        parser.add_argument("words", nargs="*")
        parser.add_argument("-l", "--selector", default=None)
        parser.add_argument("--all", action="store_true")
    return parser


def marking(
    verb: str, words: Sequence[str], usage: str, *, sign: str = "="
) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments of a verb that marks objects, and the changes: words with `sign` or a final minus.

    What is missing becomes a `CommandError` that says the `usage`.
    """
    parser = parser_of(verb)
    parser.add_argument("--overwrite", action="store_true")
    asked = parser.parse_intermixed_args(list(words))
    changes = [word for word in asked.words if sign in word or word.endswith("-")]
    asked.words = [word for word in asked.words if word not in changes]
    if not changes or not asked.words:
        raise CommandError(f"error: {verb} {usage}", 1)
    return asked, changes


def called(found: Object) -> str:
    """Return how kubectl calls the kind of an object: `deployment.apps`, `pod`."""
    kind, version = (
        (found.kind, found.api_version) if isinstance(found, Other) else (found.KIND, found.API_VERSION)
    )
    group, slash, _ = version.partition("/")
    return f"{kind.lower()}.{group}" if slash else kind.lower()


# --- files ---


def read_given(words: Sequence[str]) -> Given:
    """Return the objects of the files that a line names, if it is one that applies or deletes them.

    Raises:
        DocumentError: the files cannot be read, or have faults; all are told.
    """
    from emu.cluster.topology.load import load_topology  # noqa: PLC0415 - it reads steps, which are read here
    from emu.cluster.topology.scenario_reader import filenames  # noqa: PLC0415

    names = filenames(words) if words[0] in {"apply", "delete"} else []
    if not names:
        return Given()
    found = load_topology(read_all(names, recursive="-R" in words or "--recursive" in words))
    return Given(found.objects, found.sources)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--filename", action="append", default=[])
    parser.add_argument("-R", "--recursive", action="store_true")


def _placed(objects: Iterable[Object], namespace: str) -> Iterator[Object]:
    """Yield objects as they are with `-n`: those that name no namespace are in it."""
    for each in objects:
        is_elsewhere = each.metadata.namespace == DEFAULT_NAMESPACE != namespace
        yield (
            attrs.evolve(each, metadata=attrs.evolve(each.metadata, namespace=namespace))
            if is_elsewhere
            else each
        )


# --- verbs ---


def _apply(words: Sequence[str]) -> Edit:
    parser = parser_of("apply", objects=False)
    _add_files(parser)
    asked = parser.parse_args(list(words))
    if not asked.filename:
        raise CommandError("error: must specify one of -f and -k", 1)

    def deed(cluster: Cluster, given: Given) -> Finished:
        objects = list(_placed(given.objects, asked.namespace))
        before = [_found(cluster, each) for each in objects]
        cluster.writer.apply(objects, given.sources)
        lines = []
        for each, old in zip(objects, before, strict=True):
            new = _found(cluster, each)
            word = "created" if old is None else "unchanged" if new is old else "configured"
            lines.append(f"{called(each)}/{each.metadata.name} {word}\n")
        return Finished("".join(lines))

    return deed


def _found(cluster: Cluster, obj: Object) -> Object | None:
    """Return the object of this name that is there."""
    if isinstance(obj, Other):
        key = obj.kind, obj.metadata.namespace, obj.metadata.name
        return cluster.store.others.get(key)
    return cluster.store.find(type(obj), obj.metadata.name, obj.metadata.namespace)


def _delete(words: Sequence[str]) -> Edit:
    parser = parser_of("delete")
    _add_files(parser)
    for flag in ("--force", "--now", "--ignore-not-found"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--grace-period", type=int, default=None)
    asked = parser.parse_intermixed_args(list(words))
    if not asked.words and not asked.filename:
        raise CommandError("error: delete KIND/[NS/]NAME...", 1)
    grace = 1 if asked.now else asked.grace_period
    if grace is not None and grace < 0:
        raise CommandError(f"error: --grace-period is a number of seconds, not {grace}", 1)

    def deed(cluster: Cluster, given: Given) -> Finished:
        missing: list[str] = []
        found = list(_of_files(cluster, _placed(given.objects, asked.namespace), missing))
        if asked.words:
            found += _those_there(cluster, asked, missing)
        lines = []
        for each in found:
            cluster.writer.delete(each, grace_seconds=None if asked.force else grace, force=asked.force)
            namespace = f" from {each.metadata.namespace} namespace" if each.metadata.namespace else ""
            lines.append(f'{called(each)} "{each.metadata.name}" deleted{namespace}\n')
        if asked.ignore_not_found:
            missing = []
        return Finished("".join(lines), "".join(missing), 1 if missing else 0)

    return deed


def _those_there(cluster: Cluster, asked: argparse.Namespace, missing: list[str]) -> Iterator[Known]:
    """Yield the objects that words mean and that are there, and say which are not."""
    one_kind = len(asked.words) > 1 and "/" not in asked.words[0]
    if asked.selector is not None or asked.all:
        yield from meant(cluster, asked)
        return
    names = (
        [[asked.words[0], name] for name in asked.words[1:]] if one_kind else [[word] for word in asked.words]
    )
    for words in names:
        try:
            yield from meant(cluster, argparse.Namespace(**{**vars(asked), "words": words}))
        except UnknownNameError as error:
            missing.append(f"Error from server (NotFound): {error}\n")
        except CommandError as error:
            if "(NotFound)" not in str(error):
                raise
            missing.append(f"{error}\n")


def _of_files(cluster: Cluster, objects: Iterable[Object], missing: list[str]) -> Iterator[Known]:
    """Yield those objects that are there, and say which are not."""
    for each in objects:
        found = _found(cluster, each)
        if found is not None and not isinstance(found, Other):
            yield found
        else:
            missing.append(f'Error from server (NotFound): {called(each)} "{each.metadata.name}" not found\n')


def _label(words: Sequence[str]) -> Edit:
    asked, changes = marking("label", words, "KIND/NAME KEY=VALUE... KEY-... [--overwrite]")
    wanted = [change_of(word) for word in changes]

    def deed(cluster: Cluster, _given: Given) -> Finished:
        lines = []
        for each in meant(cluster, asked):
            labels = dict(each.metadata.labels)
            for key, value in wanted:
                if value is None:
                    labels.pop(key, None)
                    continue
                if labels.get(key, value) != value and not asked.overwrite:
                    old = labels[key]
                    raise CommandError(
                        f"error: '{key}' already has a value ({old}), and --overwrite is false", 1
                    )
                labels[key] = value
            word = "not labeled"
            if labels != each.metadata.labels:
                word = "labeled" if any(value is not None for _, value in wanted) else "unlabeled"
                cluster.store.put(attrs.evolve(each, metadata=attrs.evolve(each.metadata, labels=labels)))
            lines.append(f"{called(each)}/{each.metadata.name} {word}\n")
        return Finished("".join(lines))

    return deed


def change_of(word: str) -> tuple[str, str | None]:
    """Return a label and its new value, None to take it away."""
    key, sign, value = word.partition("=")
    if not sign:
        return word.removesuffix("-"), None
    if not _KEY.fullmatch(key):
        raise CommandError(f'error: invalid label key "{key}"', 1)
    if not _VALUE.fullmatch(value):
        raise CommandError(f'error: invalid label value: "{word}"', 1)
    return key, value


def _run(words: Sequence[str]) -> Edit:
    """Make a pod of an image, and with `--expose` a Service for it."""
    left = list(words)
    split = left.index("--") if "--" in left else len(left)
    left, args = left[:split], left[split + 1 :]
    parser = parser_of("run", objects=False)
    parser.add_argument("name")
    parser.add_argument("--image", required=True)
    parser.add_argument("-l", "--labels", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--restart", choices=("Always", "OnFailure", "Never"), default="Always")
    parser.add_argument("--command", action="store_true")
    parser.add_argument("--expose", action="store_true")
    asked = parser.parse_args(left)
    if asked.expose and not asked.port:
        raise CommandError("error: --port must be set when exposing a service", 1)
    if not 0 <= asked.port <= _HIGHEST_PORT:
        raise CommandError(f"error: --port is a number up to {_HIGHEST_PORT}, not {asked.port}", 1)
    unset = [each for each in asked.env if "=" not in each]
    if unset:
        raise CommandError(f"error: invalid env: {unset[0]}", 1)
    pairs = [change_of(word) for word in asked.labels.split(",") if word]
    if any(value is None for _, value in pairs):
        raise CommandError(f'error: invalid labels: "{asked.labels}"', 1)
    labels = {key: value for key, value in pairs if value is not None} or {"run": asked.name}
    container: dict[str, object] = {"name": asked.name, "image": asked.image}
    if asked.port:
        container["ports"] = [{"containerPort": asked.port}]
    if asked.env:
        container["env"] = [
            dict(zip(("name", "value"), each.split("=", 1), strict=False)) for each in asked.env
        ]
    if args:
        container["command" if asked.command else "args"] = args
    meta = {"name": asked.name, "namespace": asked.namespace, "labels": labels}
    spec = {"containers": [container], "restartPolicy": asked.restart}
    made = [{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}]
    if asked.expose:
        ports = [{"port": asked.port, "targetPort": asked.port}]
        service = {"selector": labels, "ports": ports}
        made.insert(0, {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service})
    objects = [codec.read(each) for each in made]

    def deed(cluster: Cluster, _given: Given) -> Finished:
        for each in objects:
            if _found(cluster, each) is not None:
                kind = kinds.find(called(each), cluster.store).resource
                name = each.metadata.name
                raise CommandError(f'Error from server (AlreadyExists): {kind} "{name}" already exists', 1)
        cluster.writer.apply(objects)
        return Finished("".join(f"{called(each)}/{each.metadata.name} created\n" for each in objects))

    return deed


VERBS: Final[Mapping[str, Callable[[Sequence[str]], Edit]]] = {
    "apply": _apply,
    "delete": _delete,
    "label": _label,
    "run": _run,
}
"""What a step that changes objects may begin with."""


# --- which objects ---


def meant(cluster: Cluster, asked: argparse.Namespace) -> list[Known]:
    """Return the objects that words mean: `KIND/[NS/]NAME`, `KIND NAME...`, `KIND -l LABELS`, or a pod.

    Raises:
        CommandError: a kind is unknown, or an object is not there.
        EndPointError: a word names nobody.
        UnknownNameError: there is no such pod or workload.
    """
    words, namespace = asked.words, asked.namespace
    if asked.selector is not None or asked.all:
        return [each for word in words for each in _selected(cluster, word, asked.selector or "", namespace)]
    if len(words) > 1 and "/" not in words[0]:
        return [_one(cluster, words[0], name, namespace) for name in words[1:]]
    found = []
    for word in words:
        kind, slash, name = word.partition("/")
        if slash and not is_kind(kind) and _is_resource(cluster, kind):
            found.append(_one(cluster, kind, name, namespace))
        else:
            found.append(find_object(cluster.store, parse_point(word, namespace)))
    return found


def _is_resource(cluster: Cluster, word: str) -> bool:
    """Return whether a word is a kind's name."""
    try:
        kinds.find(word, cluster.store)
    except CommandError:
        return False
    return True


def _one(cluster: Cluster, word: str, name: str, namespace: str) -> Known:
    kind = kinds.find(word, cluster.store)
    place, slash, rest = name.partition("/")
    if slash:
        namespace, name = place, rest
    cls = KINDS.get(kind.name)
    found = (
        cluster.store.find(cls, name, namespace if kind.is_namespaced else "") if cls is not None else None
    )
    if found is None:
        raise CommandError(f'Error from server (NotFound): {kind.resource} "{name}" not found', 1)
    return found


def _selected(cluster: Cluster, word: str, selector: str, namespace: str) -> list[Known]:
    kind = kinds.find(word, cluster.store)
    cls = KINDS.get(kind.name)
    try:
        wanted = selectors.parse(selector)
    except ValueError as error:
        raise CommandError(f"error: unable to parse requirement: {error}", 1) from None
    every = cluster.store.list(cls, namespace if kind.is_namespaced else None) if cls is not None else []
    found = [each for each in every if selectors.all_hold(wanted, each.metadata.labels)]
    if not found:
        raise CommandError("No resources found", 1)
    return found
