# SPDX-License-Identifier: GPL-2.0-only
"""emu's own annotations of pods, which no API server checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.document.nodes import path_step
from emu.errors import did_you_mean
from emu.kube.api.objects import CronJob, Pod
from emu.kube.kubelet import lifecycle, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.kube.api.objects import Object
    from emu.kube.api.objects.pod import PodSpec

_OURS = "emu/"
_SHUTDOWN = "must be exit, ignore, or drain with a number of seconds, like drain 5s"


def faults_of(obj: Object) -> Iterator[tuple[str, str]]:
    """Yield path and message of what is wrong with emu's annotations of a pod or of a workload's template."""
    if isinstance(obj, Pod):
        yield from _faults("$", obj.metadata.annotations, obj.spec)
        return
    spec, path = getattr(obj, "spec", None), "$.spec"
    if isinstance(obj, CronJob):
        spec, path = obj.spec.job_template.spec, "$.spec.jobTemplate.spec"
    template = getattr(spec, "template", None)
    if template is not None:
        yield from _faults(f"{path}.template", template.metadata.annotations, template.spec)


def _faults(path: str, annotations: Mapping[str, str], spec: PodSpec) -> Iterator[tuple[str, str]]:
    names = [each.name for each in (*spec.init_containers, *spec.containers)]
    both = (serving.ANNOTATION, lifecycle.ANNOTATION)
    known = [word for note in both for word in (note, *(f"{note}.{name}" for name in names))]
    for key, text in annotations.items():
        if not key.startswith(_OURS):
            continue
        place = f"{path}.metadata.annotations{path_step(key)}"
        if key not in known:
            yield place, f"no such annotation of emu, or no such container{did_you_mean(key, known)}"
            continue
        is_served = key.startswith(serving.ANNOTATION)
        for item in serving.faults(text) if is_served else lifecycle.faults(text):
            words = "must be PROTOCOL/PORT, like tcp/80, with =TEXT behind it as wanted, or none"
            yield place, f'Invalid value: "{item}": {words if is_served else _SHUTDOWN}'
