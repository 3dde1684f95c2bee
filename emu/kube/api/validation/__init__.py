# SPDX-License-Identifier: GPL-2.0-only
"""What an API server would refuse, said before anything is built.

`validate` takes manifests that know their lines and returns all that is wrong
with all of them: first what the published schemas say (unknown fields, wrong
types), then the rules that no schema can say, in the words of `kubectl`.

    findings = validate([ManifestNode("web.yaml", node)], Mode.STRICT, "1.35")
    findings.check()                # raises with all errors
    for fault in findings.warnings:
        ...                         # web.yaml:7: $.spec.ports[0].port: Invalid value: ...

Each group of kinds has a module of pure functions from a `Field` to what is
reported there; `kinds.CHECKS` says which one is for which kind.
"""

from __future__ import annotations

from emu.kube.api.validation.report import ManifestNode
from emu.kube.api.validation.structure import Mode
from emu.kube.api.validation.validate import DEFAULT_VERSION, Findings, validate

__all__ = ["DEFAULT_VERSION", "Findings", "ManifestNode", "Mode", "validate"]
