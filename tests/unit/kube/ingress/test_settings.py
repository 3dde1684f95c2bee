# SPDX-License-Identifier: GPL-2.0-only
"""What controllers are told: by arguments, a ConfigMap, annotations, and classes."""

from __future__ import annotations

import pytest

from emu.kube.api.objects import Deployment, Ingress, IngressClass
from emu.kube.api.objects.container import Container
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.network import IngressClassSpec, IngressSpec
from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec
from emu.kube.api.objects.workload import DeploymentSpec
from emu.kube.controller import Key
from emu.kube.ingress import addon, nginx_annotations
from emu.kube.ingress.configuration import CLASS, IS_DEFAULT, is_own
from emu.kube.ingress.servers import Handling
from emu.kube.ingress.settings import CONTROLLER_CLASS, Arguments, arguments, options, refused, unknown

NGINX = IngressClass(Meta("nginx"), IngressClassSpec(CONTROLLER_CLASS))
OTHER = IngressClass(Meta("other"), IngressClassSpec("example.com/other"))
DEFAULT = IngressClass(Meta("usual", annotations={IS_DEFAULT: "true"}), IngressClassSpec(CONTROLLER_CLASS))


def ingress(name: str | None = None, **annotations: str) -> Ingress:
    """Return an Ingress of a class."""
    found = {key.replace("_", "-"): text for key, text in annotations.items()}
    return Ingress(Meta("web", "shop", annotations=found), IngressSpec(ingress_class_name=name))


def annotated(**texts: str) -> Ingress:
    """Return an Ingress with ingress-nginx' annotations."""
    found = {nginx_annotations.PREFIX + key.replace("_", "-"): text for key, text in texts.items()}
    return Ingress(Meta("web", "shop", annotations=found))


def test_a_command_line_is_read() -> None:
    """Variables are filled in, names without a namespace are the pod's own."""
    words = (
        "/nginx-ingress-controller",
        "--publish-service=$(POD_NAMESPACE)/ingress-nginx-controller",
        "--configmap=$(POD_NAMESPACE)/settings",
        "--default-ssl-certificate=certificates/wildcard",
        "--default-backend-service=errors",
        "--controller-class=k8s.io/inner",
        "--watch-ingress-without-class=true",
        "--report-node-internal-ip-address",
        "--publish-status-address=192.0.2.1,192.0.2.2",
        "--watch-namespace=shop",
        "--http-port=8080",
        "--election-id=x",
    )
    found = arguments(words, {"POD_NAMESPACE": "edge"}, "edge")
    assert found == Arguments(
        "k8s.io/inner",
        "nginx",
        without_class=True,
        publish_service=Key("edge", "ingress-nginx-controller"),
        publish_addresses=("192.0.2.1", "192.0.2.2"),
        node_addresses=True,
        config_map=Key("edge", "settings"),
        default_certificate=Key("certificates", "wildcard"),
        default_backend=Key("edge", "errors"),
        namespace="shop",
        http_port=8080,
    )


def test_a_config_map_is_read() -> None:
    """What is not modelled is named; what cannot be read is as if it were not there."""
    data = {
        "use-proxy-protocol": "true",
        "ssl-redirect": "false",
        "hsts-max-age": "60",
        "hsts-include-subdomains": "false",
        "proxy-read-timeout": "5",
        "proxy-body-size": "8m",
        "proxy-connect-timeout": "soon",
        "brotli-level": "4",
    }
    found = options(data)
    assert found.proxy_protocol
    assert found.hsts == "max-age=60"
    assert found.handling == Handling(redirects=False, read_timeout=5, body_limit=8 << 20)
    assert options({"hsts": "false"}).hsts == ""
    assert unknown(data) == ["brotli-level"]


def test_annotations_win_over_the_config_map() -> None:
    """And those that cannot be read, or are not modelled, are told."""
    one = annotated(
        proxy_read_timeout="30",
        ssl_redirect="true",
        backend_protocol="GRPC",
        proxy_buffering="off",
        canary="true",
        temporal_redirect="https://x.example",
    )
    defaults = Handling(redirects=False, read_timeout=5)
    assert nginx_annotations.handling(one, defaults) == Handling(
        read_timeout=30, permanent="https://x.example", permanent_code=302
    )
    assert list(nginx_annotations.complaints(one)) == [
        f"annotation {nginx_annotations.PREFIX}backend-protocol: 'GRPC' cannot be read",
        f"annotation {nginx_annotations.PREFIX}canary is not modelled",
    ]


def test_what_decides_on_tries_redirects_and_fields_is_read() -> None:
    """Of the ConfigMap, and of annotations, which win."""
    data = {
        "proxy-next-upstream-timeout": "5",
        "preserve-trailing-slash": "true",
        "enable-underscores-in-headers": "true",
    }
    found = options(data)
    assert (found.handling.tries_timeout, found.handling.keeps_slash, found.takes_underscores) == (
        5,
        True,
        True,
    )
    assert unknown(data) == []
    one = annotated(proxy_next_upstream_timeout="7", preserve_trailing_slash="false")
    made = nginx_annotations.handling(one, found.handling)
    assert (made.tries_timeout, made.keeps_slash) == (7, False)


def test_what_would_be_seen_and_is_not_modelled_is_told() -> None:
    """The version of HTTP that endpoints are asked by, and whom a list of refused addresses names."""
    one = annotated(proxy_http_version="1.0", denylist_source_range_log="x", proxy_buffer_size="8k")
    assert list(nginx_annotations.complaints(one)) == [
        f"annotation {nginx_annotations.PREFIX}proxy-http-version is not modelled",
        f"annotation {nginx_annotations.PREFIX}denylist-source-range-log is not modelled",
    ]


@pytest.mark.parametrize(
    ("one", "classes", "told", "is_its"),
    [
        (ingress("nginx"), [NGINX], Arguments(), True),
        (ingress("other"), [NGINX, OTHER], Arguments(), False),
        (ingress("gone"), [NGINX], Arguments(), False),
        (ingress(), [NGINX], Arguments(), False),
        (ingress(), [NGINX], Arguments(without_class=True), True),
        (ingress(), [NGINX, DEFAULT], Arguments(), True),
        (ingress("nginx"), [NGINX], Arguments(namespace="shop"), True),
        (ingress("nginx"), [NGINX], Arguments(namespace="team"), False),
        (ingress("nginx"), [NGINX], Arguments(controller_class="example.com/mine"), False),
    ],
)
def test_a_controller_serves_its_class(
    one: Ingress, classes: list[IngressClass], told: Arguments, *, is_its: bool
) -> None:
    """By the class that is named, else by the default one, else if it serves those without."""
    assert is_own(one, classes, told) is is_its


def test_the_old_annotation_names_a_class_too() -> None:
    """Without an IngressClass."""
    old = Ingress(Meta("web", "shop", annotations={CLASS: "nginx"}))
    assert is_own(old, [], Arguments())
    assert not is_own(old, [], Arguments(ingress_class="inner"))


def controller(image: str) -> Deployment:
    """Return a Deployment of one image."""
    template = PodTemplateSpec(Meta(), PodSpec(containers=(Container("c", image),)))
    return Deployment(Meta("c", "edge"), DeploymentSpec(selector=LabelSelector(), template=template))


@pytest.mark.parametrize(
    ("image", "is_one"),
    [
        ("registry.k8s.io/ingress-nginx/controller:v1.15.1@sha256:00", True),
        ("registry.example:5000/mirror/ingress-nginx/controller", True),
        ("quay.io/kubernetes-ingress-controller/nginx-ingress-controller:0.30.0", True),
        ("quay.io/metallb/controller:v0.15", False),
        ("nginx/nginx-ingress:5", False),
        ("traefik:v3", False),
    ],
)
def test_controllers_are_known_by_their_images(image: str, *, is_one: bool) -> None:
    """Whatever registry they come from; then no other is installed."""
    assert addon.is_modelled(image) is is_one
    assert addon.is_wanted([ingress("nginx"), controller(image)]) is not is_one


@pytest.mark.parametrize(
    ("given", "is_wanted"),
    [
        ([], False),
        ([NGINX], False),
        ([ingress("nginx")], True),
        ([ingress()], True),
        ([ingress("other"), OTHER], False),
        ([ingress("other"), OTHER, NGINX], False),
        ([ingress("other"), ingress("nginx"), OTHER, NGINX], True),
    ],
)
def test_an_installation_is_for_ingresses_that_it_would_serve(
    given: list[Ingress | IngressClass], *, is_wanted: bool
) -> None:
    """Not for those of somebody else's class."""
    assert addon.is_wanted(given) is is_wanted


@pytest.mark.parametrize(("text", "code"), [("308", 308), ("303", 303), ("418", 301), ("999999", 301)])
def test_a_redirect_has_a_code_that_nginx_takes(text: str, code: int) -> None:
    """Another one is told by name, and the default one stands for it."""
    one = annotated(permanent_redirect="https://x.example", permanent_redirect_code=text)
    assert nginx_annotations.handling(one, Handling()).permanent_code == code
    told = f"annotation {nginx_annotations.PREFIX}permanent-redirect-code: {text!r} cannot be read"
    assert list(nginx_annotations.complaints(one)) == ([] if str(code) == text else [told])


@pytest.mark.parametrize(("text", "code"), [("301", 301), ("303", 308), ("999999", 308), ("x", 308)])
def test_the_config_map_has_a_code_that_the_controller_takes(text: str, code: int) -> None:
    """Another one is told, and the default one stands for it."""
    data = {"http-redirect-code": text}
    assert options(data).redirect_code == code
    assert refused(data) == ([] if str(code) == text else ["http-redirect-code"])
    assert refused({}) == []
