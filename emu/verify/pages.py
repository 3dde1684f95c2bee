# SPDX-License-Identifier: GPL-2.0-only
"""What comes of a URL: the answer, the certificate, and whose rules they follow.

Packets are the business of a verdict; this is about what is said in them. `look` has the
emulated curl fetch a page once, so the cluster is not the same afterwards; how it fares on every
branch of chance is the business of `emu.verify.fetching`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.apps.curl import url as urls
from emu.apps.curl.report import MORE_DETAILS
from emu.errors import EndPointError, UnknownNameError
from emu.verify.asker import Asker
from emu.verify.causes.codes import TLS_DEFAULT_CERT, TLS_NAME_MISMATCH, TLS_UNTRUSTED
from emu.verify.telling.layout import paragraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.apps.tools.finished import Finished
    from emu.cluster.cluster import Cluster
    from emu.kube.ingress.controller import Upstream
    from emu.kube.ingress.explain import Explanation
    from emu.verify.verdict import Verdict

_REFUSED = 60  # curl's status for a certificate
_WRITTEN = "%{http_code} %{remote_ip}"
_SUBJECT: Final = re.compile(r"^\*\s+subject: (.*)$", re.MULTILINE)
_LOST: Final = frozenset((502, 503, 504))
_UNTRUSTED: Final = ("self-signed", "issuer")
_OTHER_NAME: Final = "subject name"
_DISTRUST: Final = (
    "nobody whom this client trusts vouches for it: -k takes any certificate, --cacert FILE trusts "
    "who signed this one"
)


@attrs.frozen
class Page:
    """What a client gets.

    Attributes:
        url: what was asked for.
        status: of HTTP, 0 for no answer.
        trouble: what curl says of the connection, empty for nothing.
        certificate: why that is refused, empty if it is not.
        subject: whom it names.
        is_default: a controller shows it that has none for the name.
        explanation: whose rules the answer follows; None where no Ingress is involved.
        onward: whom the controller asks, in the order in which it is worth to ask them, too; nobody
            where its answer is no failure of the way.
    """

    url: str
    status: int
    trouble: str = ""
    certificate: str = ""
    subject: str = ""
    is_default: bool = False
    explanation: Explanation | None = None
    onward: tuple[Onward, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether a client is content."""
        return 200 <= self.status < 400 and not self.certificate

    @property
    def code(self) -> str:
        """The reason code for what is amiss, empty where none says it."""
        if self.certificate and (code := TLS_DEFAULT_CERT if self.is_default else _code_of(self.certificate)):
            return code
        return "" if self.explanation is None else self.explanation.code

    def lines(self) -> list[str]:
        """Return it as the last lines of a trace."""
        answer = f"GET {self.url}: {self.status}" if self.status else f"GET {self.url}: {self.trouble}"
        found = [f"http     {answer}"]
        if self.certificate:
            found.append(f"tls      {self.certificate}{f'   {self.code}' if self.code else ''}")
            if not self.is_default:
                whose = [f"the certificate is that of {self.subject}"] if self.subject else []
                why = [_DISTRUST] if self.code == TLS_UNTRUSTED else []
                found += paragraph("", "; ".join([*whose, *why]))
        if self.explanation is not None:
            words, code = self.explanation
            found.append(f"rules    {words}{f'   {code}' if code else ''}")
        return found


def _code_of(certificate: str) -> str:
    """Return the reason code for what curl says of a certificate; empty if none says it."""
    if _OTHER_NAME in certificate:
        return TLS_NAME_MISMATCH
    return TLS_UNTRUSTED if any(words in certificate for words in _UNTRUSTED) else ""


class Onward(NamedTuple):
    """A question that a proxy asks in the place of its client, as end points are written."""

    source: str
    target: str


def end_point(url: str) -> str:
    """Return host and port of a URL.

    Raises:
        CommandError: it is none of HTTP.
    """
    found = urls.parse(url)
    return f"{found.written_host}:{found.port}"


def look(cluster: Cluster, source: str, url: str, *, namespace: str = "default") -> Page:
    """Fetch a page from an end point, and return what came of it.

    Raises:
        EndPointError: `source` is no end point.
        UnknownNameError: there is none such.
    """
    return look_by(cluster, cluster.host(source, namespace=namespace).execute, url)


def look_by(cluster: Cluster, execute: Callable[[Sequence[str]], Finished], url: str) -> Page:
    """Have a command fetch a page, and return what came of it."""
    words = ["curl", "-sS", "-o", "/dev/null", "-w", _WRITTEN]
    finished = execute([*words, url])
    certificate = subject = ""
    if finished.status == _REFUSED:
        certificate = _said(finished.stderr)
        finished = execute([*words, "-k", "-v", url])
        named = _SUBJECT.search(finished.stderr)
        subject = "" if named is None else named[1].strip()
    status, _, address = finished.stdout.partition(" ")
    asked = urls.parse(url)
    if status == "000":
        return Page(url, 0, _said(finished.stderr), certificate, subject)
    path = asked.target.partition("?")[0]
    ingresses = cluster.control_plane.ingresses
    explanation = ingresses.explain(address, asked.host, path, int(status))
    is_default = explanation is not None and not ingresses.shows_own(address, asked.host)
    is_lost = explanation is not None and int(status) in _LOST
    upstream = ingresses.upstream(address, asked.host, path) if is_lost else None
    onward = () if upstream is None else tuple(_onward(upstream))
    return Page(url, int(status), "", certificate, subject, is_default, explanation, onward)


def ask_on(cluster: Cluster, page: Page) -> tuple[Onward, Verdict] | None:
    """Ask what a controller asks behind a page, and return what fails there; None if nothing does.

    An endpoint tells whether it fails. Where the Service of the rules fails for the same reason, it
    is told of that: the remedy is found there.
    """
    asker = Asker(cluster)
    found: tuple[Onward, Verdict] | None = None
    for onward in page.onward:
        try:
            verdict = asker.judge(onward.source, onward.target)
        except (EndPointError, UnknownNameError):
            continue
        failed = verdict.failure
        if failed is None or failed.cause is None:
            continue
        if found is None or _code(found[1]) == failed.cause.code:
            found = onward, verdict
    return found


def _onward(upstream: Upstream) -> Iterator[Onward]:
    """Yield the endpoints that a controller asks, then the Service; that alone where it has none."""
    source = f"pod/{'/'.join(upstream.pod)}"
    for host, port in ((each.host, each.port) for each in upstream.endpoints):
        yield Onward(source, f"{host}:{port}")
    if upstream.port is not None:
        backend = upstream.backend
        yield Onward(source, f"svc/{backend.namespace}/{backend.service}:{upstream.port}")


def _code(verdict: Verdict) -> str:
    failed = verdict.failure
    return "" if failed is None or failed.cause is None else failed.cause.code


def _said(text: str) -> str:
    """Return curl's words for what went wrong."""
    return text.partition(MORE_DETAILS)[0].strip().partition(") ")[2]
