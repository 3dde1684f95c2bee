# SPDX-License-Identifier: GPL-2.0-only
"""`get` and `describe` as a line of words, with kubectl's options among them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Literal, NoReturn

from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.kube.tables.describe import describe
from emu.kube.tables.get import get
from emu.kube.tables.request import Options, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.tables.world import Objects


class _Words(argparse.ArgumentParser):
    """Arguments; what is wrong with them becomes a `CommandError`."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"error: {message}", 1)


def run(
    verb: Literal["get", "describe"], words: Sequence[str], objects: Objects, *, now: int, version: str
) -> Finished:
    """Return what kubectl prints.

    Args:
        verb: which of the two.
        words: what stands behind it.
        objects: what there is.
        now: ns since 1970.
        version: of Kubernetes.

    Raises:
        CommandError: the words make no sense to it.
    """
    asked = _parser(verb).parse_intermixed_args(list(words))
    given = vars(asked)
    names = given.pop("words")
    given["label_columns"] = tuple(given["label_columns"].split(",")) if given["label_columns"] else ()
    request = parse(names, Options(**given), verb=verb)
    answer = (get if verb == "get" else describe)(request, objects, now=now, version=version)
    return Finished(answer.stdout, answer.stderr, answer.status)


def _parser(verb: str) -> _Words:
    parser = _Words(verb, add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-A", "--all-namespaces", action="store_true")
    parser.add_argument("-l", "--selector", default="")
    parser.add_argument("-o", "--output", default="")
    parser.add_argument("-L", "--label-columns", default="")
    parser.add_argument("--show-labels", action="store_true")
    parser.add_argument("--no-headers", action="store_true")
    parser.add_argument("--sort-by", default="")
    parser.add_argument("--field-selector", default="")
    return parser
