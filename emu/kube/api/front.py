# SPDX-License-Identifier: GPL-2.0-only
"""What the API server says to strangers: `curl -k https://kubernetes` and what follows.

Nobody has credentials here, so nobody is let in: what is open to everybody
(`system:public-info-viewer`) is answered, the rest is refused in its words.

Source: staging/src/k8s.io/apiserver pkg/endpoints/handlers/responsewriters, pkg/server/healthz;
plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.http import server
from emu.apps.http.message import Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from emu.apps.http.message import Request
    from emu.fabric.program import Program

NAMES: Final = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
"""What every API server's certificate is for, beside its node and its addresses."""

_HEALTH: Final = re.compile(r"/(healthz|livez|readyz)(/.*)?")
_RESOURCE: Final = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v[^/]+(?:/namespaces/(?P<namespace>[^/]+))?/(?P<kind>[^/]+)(?:/(?P<name>[^/]+))?"
)
_VERBS: Final = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_PRETTY: Final = ("curl", "Wget", "Mozilla/5.0")  # who gets JSON with indentation
_STRANGER: Final = "system:anonymous"


def serve(port: int, names: Sequence[str], version: str) -> Program[None]:
    """Answer for ever on `port`, with a certificate for `names` and those that each has.

    Args:
        port: to listen on.
        names: the node's name, its addresses, and that of the Service.
        version: of Kubernetes, such as `1.35`.
    """
    return server.serve(
        port, partial(answer, version), tls=partial(_context, (*NAMES, *names)), plain=lambda _: _PLAIN
    )


_PLAIN: Final = Response(
    400,
    (("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")),
    b"Client sent an HTTP request to an HTTPS server.\n",
)


def _context(names: tuple[str, ...]) -> ssl.SSLContext:
    from emu.apps.tls import certificates, contexts  # noqa: PLC0415 - 100 ms when somebody comes

    own = certificates.issue(names, by=certificates.CLUSTER, common_name="kube-apiserver")
    return contexts.server(own)


def answer(version: str, request: Request) -> Response:
    """Return what a stranger is told."""
    if request.header("Authorization") is not None:
        return _status(request, 401, "Unauthorized", "Unauthorized", {})
    if _HEALTH.fullmatch(request.path):
        return Response.text("ok")
    if request.path.rstrip("/") == "/version":
        major, _, minor = version.partition(".")
        told = {"major": major, "minor": minor, "gitVersion": f"v{version}.0", "platform": "linux/amd64"}
        return _json(request, 200, told)
    found = _RESOURCE.fullmatch(request.path)
    verb = _VERBS.get(request.method, request.method.lower())
    if found is None:
        words = f'forbidden: User "{_STRANGER}" cannot {verb} path "{request.path}"'
        return _status(request, 403, "Forbidden", words, {})
    kind, name, namespace = found["kind"], found["name"], found["namespace"]
    if found["kind"] == "namespaces":
        namespace = name or ""
    verb = "list" if verb == "get" and not name else verb
    what = f'{kind} "{name}"' if name else kind
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    words = (
        f'{what} is forbidden: User "{_STRANGER}" cannot {verb} resource "{kind}" '
        f'in API group "{found["group"] or ""}" {where}'
    )
    details = {"name": name, "group": found["group"], "kind": kind}
    return _status(request, 403, "Forbidden", words, {key: each for key, each in details.items() if each})


def _status(request: Request, code: int, reason: str, words: str, details: dict[str, str]) -> Response:
    told: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": words,
        "reason": reason,
    }
    if code != 401:
        told["details"] = details
    return _json(request, code, told | {"code": code})


def _json(request: Request, code: int, told: object) -> Response:
    is_pretty = (request.header("User-Agent") or "").startswith(_PRETTY)
    text = json.dumps(told, indent=2) if is_pretty else json.dumps(told, separators=(",", ":")) + "\n"
    headers = (("Cache-Control", "no-cache, private"), ("Content-Type", "application/json"))
    return Response(code, headers, text.encode())
