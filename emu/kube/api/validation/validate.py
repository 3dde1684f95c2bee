# SPDX-License-Identifier: GPL-2.0-only
"""Manifests to all that an API server would say against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.document import MAX_FAULTS
from emu.errors import DocumentError, did_you_mean
from emu.kube.api.validation.field import Field, shown
from emu.kube.api.validation.kinds import CHECKS, CLUSTER_SCOPED
from emu.kube.api.validation.report import ManifestNode, Report
from emu.kube.api.validation.schemas import definition_of, homes, is_served
from emu.kube.api.validation.structure import Mode, check_structure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.errors import Fault

DEFAULT_VERSION: Final = "1.35"


@attrs.frozen
class Findings:
    """What was found in some manifests, in their order.

    Attributes:
        errors: what an API server would refuse an object for.
        warnings: what it, or kubectl, would warn of.
    """

    errors: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()

    def check(self) -> None:
        """Return if there was no error.

        Raises:
            DocumentError: with all errors.
        """
        if self.errors:
            raise DocumentError(self.errors)


def validate(
    documents: Iterable[ManifestNode], mode: Mode = Mode.STRICT, version: str = DEFAULT_VERSION
) -> Findings:
    """Return all that is wrong with some manifests, and what is questionable.

    Objects of kinds that Kubernetes itself has not are taken as they are. What
    needs other objects to be known (is the ClusterIP free? is there such a
    namespace?) is not asked here.

    Args:
        documents: the objects; lists are taken apart already.
        mode: what becomes of unknown fields.
        version: of Kubernetes, `MAJOR.MINOR`; some rules depend on it.

    Returns:
        The findings in the order of the manifests, each object's sorted by line.
        No more than a thousand of each: whoever has more has another kind of
        file.

    Raises:
        ValueError: `version` is none.
    """
    numbers = _numbers(version)
    errors: list[Fault] = []
    warnings: list[Fault] = []
    seen: dict[tuple[str, str, str, str], ManifestNode] = {}
    for manifest in documents:
        report = Report(manifest, numbers)
        _check(report, mode)
        _warn_of_twice(report, seen)
        if report.errors:
            errors += sorted(report.errors)
        if report.warnings and len(warnings) < MAX_FAULTS:
            warnings += sorted(report.warnings)
        if len(errors) >= MAX_FAULTS:
            break
    return Findings(tuple(errors[:MAX_FAULTS]), tuple(warnings[:MAX_FAULTS]))


def _numbers(version: str) -> tuple[int, int]:
    """Return `1.35`, `v1.35.2` or the like as (1, 35)."""
    major, minor, *_ = version.removeprefix("v").split(".")
    return int(major), int(minor)


def _check(report: Report, mode: Mode) -> None:
    top = Field(report.manifest.node, report)
    kind, api_version = top.text("kind"), top.text("apiVersion")
    if not kind:
        top.at("kind").error("Object 'Kind' is missing")
    if not api_version:
        top.at("apiVersion").error("Object 'apiVersion' is missing")
    if not kind or not api_version:
        return
    definition = definition_of(api_version, kind)
    if definition is not None:
        check_structure(report, definition, mode)
        CHECKS[kind](top)
        report.finish()
    elif not is_served(api_version, kind):
        _refuse_kind(top, kind, api_version)


def _refuse_kind(top: Field, kind: str, api_version: str) -> None:
    """Report a kind that the API server does not have, or has in another group."""
    message = f"no matches for kind {shown(kind)} in version {shown(api_version)}"
    if at_home := homes(kind):
        top.at("apiVersion").error(f"{message}; it is in {at_home[0]}")
    else:
        top.at("kind").error(f"{message}{did_you_mean(kind, CHECKS)}")


def _warn_of_twice(report: Report, seen: dict[tuple[str, str, str, str], ManifestNode]) -> None:
    """Warn of an object that was there before; the later one wins, as with `kubectl apply`."""
    top = Field(report.manifest.node, report)
    metadata = top.at("metadata")
    kind, name = top.text("kind"), metadata.text("name")
    if not kind or not name:
        return
    namespace = "" if kind in CLUSTER_SCOPED else metadata.text("namespace") or "default"
    first = seen.setdefault((top.text("apiVersion"), kind, namespace, name), report.manifest)
    if first is not report.manifest:
        called = f"{namespace}/{name}" if namespace else name
        where = f"{first.file}:{first.node.line}"
        metadata.at("name").warn(f"{kind} {called} is in the input before, at {where}; this one replaces it")
