# SPDX-License-Identifier: GPL-2.0-only
"""The rules of Ingresses and their classes.

Source: `validateIngress`, `ValidateIngressClass` of pkg/apis/networking/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.addresses import parsed
from emu.kube.api.validation.metadata import check_metadata
from emu.kube.api.validation.ports import check_number
from emu.kube.api.validation.service import service_name

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

_CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
_NOT_IN_PATHS: Final = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_THE_END: Final = ("/..", "/.")


def check_ingress(ingress: Field) -> None:
    """Check an Ingress."""
    check_metadata(ingress.at("metadata"), names.subdomain)
    spec = ingress.at("spec")
    if not spec.at("rules").value and not spec.has("defaultBackend"):
        spec.invalid("either `defaultBackend` or `rules` must be specified", value=spec.at("rules").value)
    if spec.has("defaultBackend"):
        _check_backend(spec.at("defaultBackend"))
    for rule in spec.items("rules"):
        _check_rule(rule)
    for tls in spec.items("tls"):
        for host in tls.items("hosts"):
            _check_host(host)
        if secret := tls.text("secretName"):
            tls.at("secretName").each_invalid(names.subdomain(secret))
    if name := spec.text("ingressClassName"):
        spec.at("ingressClassName").each_invalid(names.subdomain(name))
        annotation = ingress.at("metadata", "annotations", _CLASS_ANNOTATION)
        if annotation.is_given and annotation.value != name:
            annotation.invalid("must match `ingressClassName` when both are specified")


def _check_rule(rule: Field) -> None:
    host = rule.at("host")
    if host.value:
        if isinstance(host.value, str) and parsed(host.value) is not None:
            host.invalid("must be a DNS name, not an IP address")
        _check_host(host)
    http = rule.at("http")
    if not http.is_given:
        return
    if not http.at("paths").value:
        http.at("paths").required()
    for path in http.items("paths"):
        _check_path(path)


def _check_host(host: Field) -> None:
    if isinstance(host.value, str):
        rule = names.wildcard if "*" in host.value else names.subdomain
        host.each_invalid(rule(host.value))


def _check_path(field: Field) -> None:
    kind, path = field.at("pathType"), field.at("path")
    if kind.value is None:
        kind.required("pathType must be specified")
        return
    text = field.text("path")
    if kind.value in ("Exact", "Prefix"):
        if not text.startswith("/"):
            path.invalid("must be an absolute path", value=text)
        for sequence in _NOT_IN_PATHS:
            if sequence in text:
                path.invalid(f"must not contain '{sequence}'")
        for suffix in _NOT_AT_THE_END:
            if text.endswith(suffix):
                path.invalid(f"cannot end with '{suffix}'")
    elif kind.value == "ImplementationSpecific":
        if text and not text.startswith("/"):
            path.invalid("must be an absolute path")
    else:
        kind.one_of("Exact", "ImplementationSpecific", "Prefix")
    _check_backend(field.at("backend"))


def _check_backend(backend: Field) -> None:
    service, resource = backend.at("service"), backend.at("resource")
    if service.is_given and resource.is_given:
        backend.invalid("cannot set both resource and service backends", value="")
    elif service.is_given:
        _check_service_backend(backend, service)
    elif not resource.is_given:
        backend.invalid("resource or service backend is required", value="")


def _check_service_backend(backend: Field, service: Field) -> None:
    if called := service.text("name"):
        service.at("name").each_invalid(service_name(service.version)(called))
    else:
        service.at("name").required()
    port = service.at("port")
    number, name = port.at("number"), port.at("name")
    if name.value and number.value:
        backend.invalid("cannot set both port name & port number", value="")
    elif isinstance(name.value, str) and name.value:
        name.each_invalid(names.port_name(name.value))
    elif number.value:
        check_number(number)
    elif not name.value:
        backend.required("port name or number is required")


def check_ingress_class(ingress_class: Field) -> None:
    """Check an IngressClass."""
    check_metadata(ingress_class.at("metadata"), names.subdomain, namespaced=False)
    controller = ingress_class.at("spec", "controller")
    if not controller.value:
        controller.required()
    elif isinstance(controller.value, str):
        if len(controller.value) > 250:
            controller.error("Too long: may not be more than 250 bytes")
        domain, slash, path = controller.value.partition("/")
        if not slash or not domain or not path:
            controller.invalid('must be a domain-prefixed path (such as "acme.io/foo")')
        else:
            controller.each_invalid(names.subdomain(domain))
