# SPDX-License-Identifier: GPL-2.0-only
"""What a user asks of `get` and `describe`: the words behind the verb, and the options.

Source: `k8s.io/cli-runtime/pkg/resource/builder.go`, which says how words are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from emu.errors import CommandError
from emu.kube.tables.kinds import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMATS: Final = (
    "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,"
    "jsonpath-file,name,template,templatefile,wide,yaml"
)
_WITH_ARGUMENT: Final = frozenset({"custom-columns", "jsonpath", "jsonpath-as-json"})
_PLAIN: Final = frozenset({"", "wide", "json", "yaml", "name"})
_NO_KIND: Final = (
    "You must specify the type of resource to get. "
    'Use "kubectl api-resources" for a complete list of supported resources.\n\n'
    "error: Required resource not specified.\n"
    'Use "kubectl explain <resource>" for a detailed description of that resource '
    "(e.g. kubectl explain pods).\n"
    "See 'kubectl get -h' for help and examples"
)
_MIXED: Final = (
    "error: there is no need to specify a resource type as a separate argument when passing arguments in "
    "resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of "
    "'kubectl get resource resource/<resource_name>'"
)


@frozen
class Options:
    """The options of `get`; `describe` uses those that choose objects.

    `output` is what stands behind `-o`, with its argument: `jsonpath={.metadata.name}`.
    """

    namespace: str = "default"
    all_namespaces: bool = False
    output: str = ""
    selector: str = ""
    field_selector: str = ""
    label_columns: tuple[str, ...] = ()
    show_labels: bool = False
    no_headers: bool = False
    sort_by: str = ""
    ignore_not_found: bool = False
    show_managed_fields: bool = False
    show_events: bool = True


@frozen
class Target:
    """A kind as it was written, and the name of one object, or None for all."""

    kind: str
    name: str | None = None


@frozen
class Request:
    """What is asked: `output` and `argument` are the two parts of `-o`."""

    targets: tuple[Target, ...]
    options: Options = Options()
    output: str = ""
    argument: str = ""

    @property
    def is_about_one(self) -> bool:
        """Whether exactly one object is asked for, by its name."""
        return len(self.targets) == 1 and self.targets[0].name is not None


def parse(words: Sequence[str], options: Options = Options(), *, verb: str = "get") -> Request:
    """Return what `words` and options ask.

    Args:
        words: `pods`, `po,svc`, `pod web-1 web-2`, `deploy/web svc/db`, `all`, and the like.
        options: as the command line has them.
        verb: get or describe.

    Raises:
        CommandError: the words make no sense; the message is all that kubectl would say.
    """
    if not words:
        raise CommandError(
            _NO_KIND if verb == "get" else _NO_KIND.partition("\n")[0].replace("get.", "describe."), 1
        )
    targets = _by_slash(words, options) if any("/" in word for word in words) else _by_kind(words, options)
    output, equals, argument = options.output.partition("=")
    if output == "custom-columns" and not equals:
        raise CommandError("error: custom-columns format specified but no custom columns given", 1)
    if output in _FORMATS.split(",") and output not in _PLAIN | _WITH_ARGUMENT:
        raise CommandError(f"error: output format {output} is not modelled; there are {_modelled()}", 1)
    if output not in _PLAIN | _WITH_ARGUMENT or (equals and output in _PLAIN):
        raise CommandError(
            f'error: unable to match a printer suitable for the output format "{options.output}", '
            f"allowed formats are: {_FORMATS}",
            1,
        )
    if options.show_labels and output not in {"", "wide"}:
        raise CommandError(f"error: --show-labels option cannot be used with {options.output} printer", 1)
    return Request(tuple(targets), options, output, argument)


def _modelled() -> str:
    return ", ".join(sorted(_PLAIN - {""} | _WITH_ARGUMENT))


def _by_slash(words: Sequence[str], options: Options) -> list[Target]:
    """Return the targets of `kind/name` words."""
    if not all("/" in word for word in words):
        raise CommandError(_MIXED, 1)
    if options.selector or options.field_selector:
        raise CommandError(
            "error: selectors and the all flag cannot be used when passing resource/name arguments", 1
        )
    targets = []
    for word in words:
        kind, _, name = word.partition("/")
        if "/" in name:
            raise CommandError("error: arguments in resource/name form may not have more than one slash", 1)
        if not kind or not name or "," in kind:
            raise CommandError(
                "error: arguments in resource/name form must have a single resource and name", 1
            )
        targets.append(Target(kind, name))
    return targets


def _by_kind(words: Sequence[str], options: Options) -> list[Target]:
    """Return the targets of kinds, or of one kind and names."""
    written = words[0].split(",")
    kinds = [each for kind in written for each in CATEGORIES.get(kind.lower(), (kind,)) if each]
    if len(words) == 1:
        return [Target(kind) for kind in dict.fromkeys(kinds)]
    if options.selector or options.field_selector:
        raise CommandError("error: name cannot be provided when a selector is specified", 1)
    if len(kinds) != 1:
        raise CommandError("error: you must specify only one resource", 1)
    return [Target(kinds[0], name) for name in words[1:]]
