# SPDX-License-Identifier: GPL-2.0-only
"""How a controller was started: its arguments, and the ConfigMap that they name.

Source: ingress-nginx pkg/flags/flags.go, internal/ingress/controller/config/config.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.numbers import whole
from emu.kube.controller import Key
from emu.kube.ingress import nginx_annotations
from emu.kube.ingress.servers import Handling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTROLLER_CLASS: Final = "k8s.io/ingress-nginx"

_PORT: Final = 65535
_CODE: Final = "http-redirect-code"
_REDIRECT: Final = 308
_REDIRECTS: Final = frozenset((301, 302, 307, 308))
_READ: Final = frozenset(
    (
        "use-proxy-protocol",
        "use-forwarded-headers",
        "compute-full-forwarded-for",
        "ssl-redirect",
        "force-ssl-redirect",
        "hsts",
        "hsts-max-age",
        "hsts-include-subdomains",
        "hsts-preload",
        "proxy-connect-timeout",
        "proxy-read-timeout",
        "proxy-next-upstream-tries",
        "proxy-next-upstream-timeout",
        "preserve-trailing-slash",
        "enable-underscores-in-headers",
        "proxy-body-size",
        _CODE,
        "upstream-keepalive-connections",
    )
)
_HARMLESS: Final = frozenset(
    ("allow-snippet-annotations", "annotations-risk-level", "log-format-upstream", "worker-processes")
)


@attrs.frozen
class Arguments:
    """The command line of a controller.

    Attributes:
        controller_class: `spec.controller` of the IngressClasses that are its own.
        ingress_class: what the old annotation says for it.
        without_class: Ingresses of no class are its own, too.
        publish_service: whose addresses Ingresses get.
        publish_addresses: addresses that they get in place of those.
        node_addresses: they get those of its pods' nodes.
        config_map: its settings.
        default_certificate: the Secret of the certificate for all that have none.
        default_backend: the Service that answers what meets no rule.
        namespace: the only one that it looks at, empty for all.
        http_port: where it listens.
        https_port: where it speaks TLS.
        health_port: where it is asked whether it is well.
    """

    controller_class: str = CONTROLLER_CLASS
    ingress_class: str = "nginx"
    without_class: bool = False
    publish_service: Key | None = None
    publish_addresses: tuple[str, ...] = ()
    node_addresses: bool = False
    config_map: Key | None = None
    default_certificate: Key | None = None
    default_backend: Key | None = None
    namespace: str = ""
    http_port: int = 80
    https_port: int = 443
    health_port: int = 10254


def arguments(words: Sequence[str], environment: Mapping[str, str], namespace: str) -> Arguments:
    """Read a command line, whose `$(POD_NAMESPACE)` and so on are filled in.

    Args:
        words: the arguments.
        environment: of the container.
        namespace: of its pod, where names without one are looked for.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        for variable, text in environment.items():
            value = value.replace(f"$({variable})", text)
        given[name] = value if equals else "true"

    def key(name: str) -> Key | None:
        text = given.get(name, "").replace("$(POD_NAMESPACE)", namespace)
        first, slash, rest = text.partition("/")
        return None if not text else Key(first, rest) if slash else Key(namespace, first)

    def port(name: str, default: int) -> int:
        return whole(given.get(name, ""), _PORT) or default

    return Arguments(
        given.get("controller-class", CONTROLLER_CLASS),
        given.get("ingress-class", "nginx"),
        without_class=given.get("watch-ingress-without-class") == "true",
        publish_service=key("publish-service"),
        publish_addresses=tuple(filter(None, given.get("publish-status-address", "").split(","))),
        node_addresses=given.get("report-node-internal-ip-address") == "true",
        config_map=key("configmap"),
        default_certificate=key("default-ssl-certificate"),
        default_backend=key("default-backend-service"),
        namespace=given.get("watch-namespace", ""),
        http_port=port("http-port", 80),
        https_port=port("https-port", 443),
        health_port=port("healthz-port", 10254),
    )


_USUAL: Final = Handling()


@attrs.frozen
class Options:
    """What a ConfigMap says.

    Attributes:
        proxy_protocol: connections begin with a header of the PROXY protocol.
        trusts_forwarded: what clients say in X-Forwarded-* counts.
        takes_underscores: fields with `_` in their names are taken.
        appends_forwarded: it is kept and the client's address put behind it.
        hsts: Strict-Transport-Security of answers by TLS, empty for none.
        redirect_code: of redirects to https.
        keeps: connections to endpoints that are kept, 0 for none.
        handling: the defaults of locations.
    """

    proxy_protocol: bool = False
    trusts_forwarded: bool = False
    takes_underscores: bool = False
    appends_forwarded: bool = False
    hsts: str = "max-age=31536000; includeSubDomains"
    redirect_code: int = 308
    keeps: int = 320
    handling: Handling = _USUAL


def options(data: Mapping[str, str]) -> Options:
    """Read the data of a ConfigMap; what cannot be read is as if it were not there."""

    def is_on(key: str, *, default: bool = False) -> bool:
        return {"true": True, "false": False}.get(data.get(key, ""), default)

    def number(key: str, default: int) -> int:
        found = whole(data.get(key, ""))
        return default if found is None else found

    defaults = Handling()
    hsts = f"max-age={number('hsts-max-age', 31536000)}"
    hsts += "; includeSubDomains" if is_on("hsts-include-subdomains", default=True) else ""
    hsts += "; preload" if is_on("hsts-preload") else ""
    limit = nginx_annotations.size(data.get("proxy-body-size", "1m"))
    return Options(
        proxy_protocol=is_on("use-proxy-protocol"),
        trusts_forwarded=is_on("use-forwarded-headers"),
        takes_underscores=is_on("enable-underscores-in-headers"),
        appends_forwarded=is_on("compute-full-forwarded-for"),
        hsts=hsts if is_on("hsts", default=True) else "",
        redirect_code=_REDIRECT if refused(data) else number(_CODE, _REDIRECT),
        keeps=number("upstream-keepalive-connections", 320),
        handling=attrs.evolve(
            defaults,
            redirects=is_on("ssl-redirect", default=True),
            always_redirects=is_on("force-ssl-redirect"),
            connect_timeout=number("proxy-connect-timeout", defaults.connect_timeout),
            read_timeout=number("proxy-read-timeout", defaults.read_timeout),
            tries=number("proxy-next-upstream-tries", defaults.tries),
            tries_timeout=number("proxy-next-upstream-timeout", defaults.tries_timeout),
            keeps_slash=is_on("preserve-trailing-slash"),
            body_limit=defaults.body_limit if limit is None else limit,
        ),
    )


def unknown(data: Mapping[str, str]) -> list[str]:
    """Return the keys of a ConfigMap that are not modelled."""
    return sorted(data.keys() - _READ - _HARMLESS)


def refused(data: Mapping[str, str]) -> list[str]:
    """Return the keys of a ConfigMap whose values the controller does not take: it has its defaults then."""
    return [_CODE] if _CODE in data and whole(data[_CODE]) not in _REDIRECTS else []
