# SPDX-License-Identifier: GPL-2.0-only
"""What comes of a URL: the answer, the certificate, and whose rules they follow.

Packets are the business of a verdict; this is about what is said in them. The page is
fetched once, by the emulated curl, so the cluster is not the same afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.apps.curl import url as urls
from emu.apps.curl.report import MORE_DETAILS

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.kube.ingress.explain import Explanation

_REFUSED = 60  # curl's status for a certificate
_WRITTEN = "%{http_code} %{remote_ip}"


@attrs.frozen
class Page:
    """What a client gets.

    Attributes:
        url: what was asked for.
        status: of HTTP, 0 for no answer.
        trouble: what curl says of the connection, empty for nothing.
        certificate: why that is refused, empty if it is not.
        explanation: whose rules the answer follows; None where no Ingress is involved.
    """

    url: str
    status: int
    trouble: str = ""
    certificate: str = ""
    explanation: Explanation | None = None

    @property
    def is_good(self) -> bool:
        """Whether a client is content."""
        return 0 < self.status < 400 and not self.certificate

    def lines(self) -> list[str]:
        """Return it as the last lines of a trace."""
        answer = f"GET {self.url}: {self.status}" if self.status else f"GET {self.url}: {self.trouble}"
        found = [f"http     {answer}"]
        if self.certificate:
            code = "   TLS_DEFAULT_CERT" if "self-signed" in self.certificate and self.explanation else ""
            found.append(f"tls      {self.certificate}{code}")
        if self.explanation is not None:
            words, code = self.explanation
            found.append(f"rules    {words}{f'   {code}' if code else ''}")
        return found


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
    host = cluster.host(source, namespace=namespace)
    words = ["curl", "-sS", "-o", "/dev/null", "-w", _WRITTEN]
    finished = host.execute([*words, url])
    certificate = ""
    if finished.status == _REFUSED:
        certificate = _said(finished.stderr)
        finished = host.execute([*words, "-k", url])
    status, _, address = finished.stdout.partition(" ")
    asked = urls.parse(url)
    explanation = None
    if status != "000":
        path = asked.target.partition("?")[0]
        explanation = cluster.control_plane.ingresses.explain(address, asked.host, path, int(status))
    return Page(url, int(status), _said(finished.stderr), certificate, explanation)


def _said(text: str) -> str:
    """Return curl's words for what went wrong."""
    return text.partition(MORE_DETAILS)[0].strip().partition(") ")[2]
