# SPDX-License-Identifier: GPL-2.0-only
"""The objects of an installation of ingress-nginx, for input that has Ingresses and no controller.

With a load balancer in front its Service is of the type LoadBalancer, as in a
cloud; without one its pod has ports 80 and 443 of its node, as on kind.

Source: ingress-nginx deploy/static/provider/{cloud,kind}/deploy.yaml, controller v1.15.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import (
    ConfigMap,
    DaemonSet,
    Deployment,
    Ingress,
    IngressClass,
    Namespace,
    Pod,
    Service,
    StatefulSet,
)
from emu.kube.api.objects.container import Container, ContainerPort, EnvVar, HttpGet, Probe
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.network import IngressClassSpec
from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec
from emu.kube.api.objects.service import ServicePort, ServiceSpec
from emu.kube.api.objects.workload import DeploymentSpec
from emu.kube.ingress.configuration import CLASS
from emu.kube.ingress.image import IMAGES
from emu.kube.ingress.settings import CONTROLLER_CLASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Object
    from emu.kube.api.objects.field import Json

NAMESPACE: Final = "ingress-nginx"
NAME: Final = "ingress-nginx-controller"
VERSION: Final = "v1.15.1"
_CLASS: Final = "nginx"
_LABELS: Final = {
    "app.kubernetes.io/name": "ingress-nginx",
    "app.kubernetes.io/instance": "ingress-nginx",
    "app.kubernetes.io/component": "controller",
}


def is_modelled(image: str) -> bool:
    """Return whether an image is an Ingress controller whose program is modelled."""
    name = image.partition("@")[0]
    first, slash, last = name.rpartition("/")
    return (first + slash + last.partition(":")[0]).endswith(IMAGES)


def is_wanted(given: Sequence[Object]) -> bool:
    """Return whether there are Ingresses that ingress-nginx would serve, and nobody brings it."""
    ingresses = [each for each in given if isinstance(each, Ingress)]
    if not ingresses or any(is_modelled(image) for image in _images(given)):
        return False
    classes = {each.metadata.name: each.spec.controller for each in given if isinstance(each, IngressClass)}
    if classes and CONTROLLER_CLASS not in classes.values():
        return False
    return any(classes.get(_class(each), CONTROLLER_CLASS) == CONTROLLER_CLASS for each in ingresses)


def _class(ingress: Ingress) -> str:
    named = ingress.spec.ingress_class_name or ingress.metadata.annotations.get(CLASS)
    return named or _CLASS


def _images(given: Iterable[Object]) -> list[str]:
    specs = [each.spec for each in given if isinstance(each, Pod)]
    specs += [
        each.spec.template.spec for each in given if isinstance(each, Deployment | DaemonSet | StatefulSet)
    ]
    return [container.image for spec in specs for container in spec.containers]


def objects(given: Sequence[Object], *, is_balanced: bool) -> list[Object]:
    """Return the objects of an installation, without those whose names `given` has.

    Args:
        given: the input.
        is_balanced: load balancers give addresses to Services.
    """
    known = {(type(each), each.metadata.namespace, each.metadata.name) for each in given}
    made: list[Object] = [
        Namespace(Meta(NAMESPACE, labels={"app.kubernetes.io/name": "ingress-nginx"})),
        ConfigMap(Meta(NAME, NAMESPACE, labels=_LABELS)),
        IngressClass(Meta(_CLASS, labels=_LABELS), IngressClassSpec(CONTROLLER_CLASS)),
        _service(is_balanced=is_balanced),
        _deployment(is_balanced=is_balanced),
    ]
    return [each for each in made if (type(each), each.metadata.namespace, each.metadata.name) not in known]


def _service(*, is_balanced: bool) -> Service:
    ports = (
        ServicePort(80, "http", target_port="http", app_protocol="http"),
        ServicePort(443, "https", target_port="https", app_protocol="https"),
    )
    spec = ServiceSpec(ports=ports, selector=_LABELS, type="LoadBalancer" if is_balanced else "NodePort")
    return Service(Meta(NAME, NAMESPACE, labels=_LABELS), spec)


def _deployment(*, is_balanced: bool) -> Deployment:
    template = PodTemplateSpec(Meta(labels=_LABELS), _pod(is_balanced=is_balanced))
    spec = DeploymentSpec(replicas=1, selector=LabelSelector(_LABELS), template=template)
    return Deployment(Meta(NAME, NAMESPACE, labels=_LABELS), spec)


def _pod(*, is_balanced: bool) -> PodSpec:
    published = f"--publish-service=$(POD_NAMESPACE)/{NAME}"
    where = published if is_balanced else "--report-node-internal-ip-address"
    field: dict[str, Json] = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    ports = (
        ContainerPort(80, "http", host_port=0 if is_balanced else 80),
        ContainerPort(443, "https", host_port=0 if is_balanced else 443),
    )
    container = Container(
        "controller",
        f"registry.k8s.io/ingress-nginx/controller:{VERSION}",
        args=(
            "/nginx-ingress-controller",
            where,
            f"--controller-class={CONTROLLER_CLASS}",
            f"--ingress-class={_CLASS}",
            f"--configmap=$(POD_NAMESPACE)/{NAME}",
            "--watch-ingress-without-class=true",
        ),
        ports=ports,
        env=(EnvVar("POD_NAMESPACE", rest={"valueFrom": field}),),
        readiness_probe=Probe(
            http_get=HttpGet(10254, "/healthz"), initial_delay_seconds=10, failure_threshold=3
        ),
    )
    return PodSpec(containers=(container,), node_selector={"kubernetes.io/os": "linux"})
