# SPDX-License-Identifier: GPL-2.0-only
"""curl and TLS: what it takes, what it refuses, and in which words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from emu.apps.curl.report import MORE_DETAILS
from emu.apps.http.message import Request, Response
from emu.apps.http.server import serve
from emu.apps.tls import authorities, certificates, contexts
from emu.testing.lab import Lab, two_hosts

if TYPE_CHECKING:
    from emu.apps.console import Finished

HOSTS = "127.0.0.1\tlocalhost\n10.0.0.2\tweb shop.example\n"


def site(request: Request) -> Response:
    """Answer with the host that was asked for, or send to another page."""
    if request.path == "/secure":
        return Response(308, (("Location", "https://web/"),))
    return Response.text(f"{request.header('Host')} {request.target}\n")


def lab_with_sites() -> Lab:
    """Return two hosts; the second has a certificate of an authority, one of its own, and none."""
    lab = two_hosts()
    lab.namespace("a").userland.files["/etc/hosts"] = HOSTS
    lab.start("b", serve(443, site, tls=partial(contexts.server, certificates.issue(("web",)))))
    lab.start("b", serve(8443, site, tls=partial(contexts.server, certificates.fake())))
    lab.start("b", serve(80, site))
    return lab


def curl(*argv: str, lab: Lab | None = None) -> Finished:
    """Run curl on host `a`."""
    return (lab or lab_with_sites()).namespace("a").execute(["curl", *argv])


@pytest.mark.parametrize(
    ("argv", "printed"),
    [
        ("https://web/x", "web /x\n"),
        ("https://web:443/x", "web /x\n"),
        ("-k https://shop.example/", "shop.example /\n"),
        ("-k https://10.0.0.2/", "10.0.0.2 /\n"),
        ("-k https://web:8443/", "web:8443 /\n"),
        ("-k -H Host:shop.example https://web/", "shop.example /\n"),
        ("--resolve web:443:10.0.0.2 --http1.1 https://web/", "web /\n"),
        ("--connect-to web:443:shop.example:443 https://web/", "web /\n"),
        ("--connect-to ::10.0.0.2: https://web/", "web /\n"),
        ("--tlsv1.2 --tls-max 1.2 https://web/", "web /\n"),
        ("--tlsv1.3 https://web/", "web /\n"),
        ("-L http://web/secure", "web /\n"),
        ("-o /dev/null -w %{scheme}-%{http_code}-%{time_appconnect} https://web/", "https-200-0.000000"),
    ],
)
def test_pages_are_fetched(argv: str, printed: str) -> None:
    """With the names, ports and fields that are asked for."""
    found = curl("-s", *argv.split())
    assert (found.stdout, found.stderr, found.status) == (printed, "", 0)


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (
            "https://shop.example",
            60,
            "SSL: no alternative certificate subject name matches target hostname 'shop.example'",
        ),
        (
            "https://10.0.0.2",
            60,
            "SSL: no alternative certificate subject name matches target ipv4 address '10.0.0.2'",
        ),
        ("https://web:8443", 60, "SSL certificate problem: self-signed certificate"),
        (
            "--cacert /other.crt https://web",
            60,
            "SSL certificate problem: unable to get local issuer certificate",
        ),
        ("--cacert /no.crt https://web", 77, "error adding trust anchors from file: /no.crt"),
        (
            "https://web:80",
            35,
            "TLS connect error: error:0A00010B:SSL routines::wrong version number",
        ),
        ("--tls-max 1.1 https://web", 2, "option --tls-max: TLS 1.1 is unknown, or not modelled"),
        ("--connect-to web https://web", 49, "Couldn't parse CONNECT_TO entry 'web'"),
    ],
)
def test_what_went_wrong_is_told(argv: str, status: int, words: str) -> None:
    """In curl's words, with its exit status."""
    lab = lab_with_sites()
    lab.namespace("a").userland.files["/other.crt"] = authorities.CLUSTER
    found = curl("-sS", *argv.split(), lab=lab)
    assert found.status == status
    told = found.stderr.splitlines()
    assert told[0] in {f"curl: ({status}) {words}", f"curl: {words}"}
    assert (MORE_DETAILS in found.stderr) == (status == 60)


def test_connections_are_shared_by_urls_of_one_scheme() -> None:
    """The second page comes by the connection of the first; one without TLS needs its own."""
    found = curl("-s", "-w", "%{num_connects}\n", "https://web/1", "https://web/2", "http://web/3")
    assert found.stdout == "web /1\n1\nweb /2\n0\nweb /3\n1\n"


def test_verbose_tells_of_the_certificate() -> None:
    """Subject, dates, issuer, and what the chain came to; with -k, too."""
    told = curl("-sv", "https://web/").stderr
    assert "* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384\n" in told
    assert "* ALPN: server accepted http/1.1\n" in told
    assert "*  subject: CN=web\n*  start date: Jan  1 00:00:00 2000 GMT\n" in told
    assert '*  subjectAltName: host "web" matched cert\'s "web"\n' in told
    assert "*  issuer: CN=emu Root CA\n*  SSL certificate verify ok.\n" in told
    fake = curl("-svk", "https://web:8443/").stderr
    assert "*  subject: O=Acme Co; CN=Kubernetes Ingress Controller Fake Certificate\n" in fake
    assert "*  SSL certificate verify result: self-signed certificate (18), continuing anyway.\n" in fake


def test_wget_believes_everybody_and_says_so() -> None:
    """As busybox does."""
    found = lab_with_sites().namespace("a").execute(["wget", "-qO-", "https://web:8443/x"])
    assert (found.stdout, found.status) == ("web:8443 /x\n", 0)
    assert found.stderr == "wget: note: TLS certificate validation not implemented\n"


class TestOpenssl:
    """`openssl s_client`, as people look at certificates."""

    def run(self, words: str) -> Finished:
        """Run it on host `a`."""
        return lab_with_sites().namespace("a").execute(("openssl", *words.split()))

    @pytest.mark.parametrize(
        ("words", "stdout", "stderr"),
        [
            ("-connect web:443", "Verify return code: 0 (ok)", "depth=0 CN = web\nverify return:1\nDONE\n"),
            (
                "-connect web:8443",
                "subject=O = Acme Co, CN = Kubernetes Ingress Controller Fake Certificate\n",
                "verify error:num=18:self-signed certificate\nverify return:1\n",
            ),
            ("-connect 10.0.0.2:443 -noservername -tls1_2", "New, TLSv1.2, Cipher is ", "DONE"),
            ("-connect web:443 -alpn http/1.1 -showcerts", "ALPN protocol: http/1.1\n", "DONE"),
            ("-connect web:443 -brief -servername shop.example", "", "Protocol version: TLSv1.3\n"),
        ],
    )
    def test_it_tells_what_hands_were_shaken(self, words: str, stdout: str, stderr: str) -> None:
        """Whose certificate, by which version, and what the chain comes to."""
        found = self.run(f"s_client {words}")
        assert found.status == 0, found
        assert stdout in found.stdout
        assert stderr in found.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("s_client -connect web:81", "connect:errno=111\n"),
            ("s_client -connect nope:443", "BIO_lookup_ex: Name or service not known\n"),
            ("s_client -connect web:80", "error:SSL routines:wrong version number\n"),
            ("s_client -connect web", "-connect argument or target parameter malformed"),
            ("s_client -connect web:443 -CAfile /no", "Could not open file or uri for loading /no"),
            ("s_client -connect web:8443 -verify_return_error", "verify error:num=18"),
            ("x509 -text", "openssl: of its commands s_client and version are modelled"),
        ],
    )
    def test_what_went_wrong_is_told(self, words: str, said: str) -> None:
        """With status 1."""
        found = self.run(words)
        assert found.status == 1
        assert said in found.stderr
