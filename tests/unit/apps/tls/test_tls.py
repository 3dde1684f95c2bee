# SPDX-License-Identifier: GPL-2.0-only
"""TLS between two namespaces: real records, in packets."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps.http.client import Failed, Failure, Fetched, Secured, fetch
from emu.apps.http.message import Request, Response
from emu.apps.http.server import serve
from emu.apps.tls import authorities, certificates, contexts, trust
from emu.apps.tls.contexts import Wishes
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import EPOCH, SECOND
from emu.testing.lab import Lab, two_hosts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emu.fabric.program import Program

SITE = certificates.issue(("web", "*.web.example", "10.0.0.2"))
TRUSTING = Wishes(authorities.ROOT)


def hello(request: Request) -> Response:
    """Answer with what was asked."""
    return Response.text(f"{request.method} {request.target} {len(request.body)}\n")


def lab_with(tls: Callable[[], ssl.SSLContext] | None = None) -> Lab:
    """Return two hosts, the second of which serves by TLS."""
    lab = two_hosts()
    plain = Response.text("Client sent an HTTP request to an HTTPS server.\n", 400)
    tls = tls or partial(contexts.server, SITE)
    lab.start("b", serve(443, hello, tls=tls, plain=lambda _: plain))
    return lab


def get(
    lab: Lab, host: str = "web", wishes: Wishes = TRUSTING, request: Request | None = None, epoch: int = EPOCH
) -> Fetched | Failed:
    """Ask host `b` from host `a`."""
    asked = fetch(lab.address("b"), 443, request, tls=Secured(host, wishes, epoch), timeout=20 * SECOND)
    return lab.run("a", asked)


def refusal(*arguments: object) -> tuple[Failure, str]:
    """Return why a certificate is refused."""
    found = get(*arguments)  # type: ignore[arg-type]  # as `get` takes them
    assert isinstance(found, Failed)
    return found.failure, found.detail


class TestCertificates:
    """They follow from names."""

    def test_authorities_are_what_their_names_make_of_them(self) -> None:
        """The texts of `authorities` need not be made, and are the same."""
        assert certificates.authority() == authorities.ROOT
        assert certificates.authority(certificates.CLUSTER) == authorities.CLUSTER

    def test_a_certificate_is_the_same_every_time(self) -> None:
        """Octet by octet: nothing in it is drawn."""
        again = certificates.issue.__wrapped__(("web", "*.web.example", "10.0.0.2"))
        assert again == SITE
        assert certificates.issue(("other",)).key != SITE.key

    def test_all_are_of_one_size(self) -> None:
        """Names of one length give certificates of one length, so that handshakes are."""
        sizes = {len(certificates.issue((f"host-{number:03}",)).certificate) for number in range(20)}
        assert len(sizes) == 1

    def test_the_fake_one_is_called_as_people_know_it(self) -> None:
        """Organization, common name and subject of what ingress-nginx shows; signed by itself."""
        found = x509.load_pem_x509_certificate(certificates.fake().certificate.encode())
        assert found.subject.rfc4514_string() == "CN=Kubernetes Ingress Controller Fake Certificate,O=Acme Co"
        assert found.issuer == found.subject

    @pytest.mark.parametrize(
        ("pattern", "host", "is_covered"),
        [
            ("shop.example", "shop.example", True),
            ("Shop.Example", "shop.example.", True),
            ("*.shop.example", "a.shop.example", True),
            ("*.shop.example", "shop.example", False),
            ("*.shop.example", "b.a.shop.example", False),
            ("*", "shop", False),
            ("*.example", "shop.example", False),
            ("s*.shop.example", "sa.shop.example", False),
            ("10.0.0.2", "10.0.0.2", True),
            ("*.0.0.2", "10.0.0.2", False),
        ],
    )
    def test_a_wildcard_stands_for_one_label(self, pattern: str, host: str, *, is_covered: bool) -> None:
        """The first one, whole, and never for a part of an address."""
        assert trust.matches(pattern, host) is is_covered


class TestHandshake:
    """Both sides agree, or say why not."""

    @pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_page_is_fetched(self, newest: ssl.TLSVersion) -> None:
        """By both versions, with the certificate looked at."""
        found = get(lab_with(), wishes=Wishes(authorities.ROOT, most=newest))
        assert isinstance(found, Fetched)
        assert found.response.body == b"GET / 0\n"

    def test_bodies_of_many_records_arrive(self) -> None:
        """More than a record holds, and more than a window."""
        found = get(lab_with(), request=Request("POST", "/", (("Host", "web"),), bytes(300_000)))
        assert isinstance(found, Fetched)
        assert found.response.body == b"POST / 300000\n"

    def test_the_name_has_to_be_in_the_certificate(self) -> None:
        """A name, a wildcard, an address; not another name."""
        lab = lab_with()
        assert isinstance(get(lab, "x.web.example"), Fetched)
        assert isinstance(get(lab, "10.0.0.2"), Fetched)
        assert refusal(lab, "shop") == (Failure.CERTIFICATE, "name")
        assert isinstance(get(lab, "shop", Wishes()), Fetched), "who trusts everybody asks for no name"

    def test_a_stranger_is_not_believed(self) -> None:
        """An authority that is not known, or none at all."""
        lab = lab_with()
        unknown = "unable to get local issuer certificate"
        assert refusal(lab, "web", Wishes(authorities.CLUSTER)) == (Failure.CERTIFICATE, unknown)
        fake = lab_with(partial(contexts.server, certificates.fake()))
        assert refusal(fake, "web") == (Failure.CERTIFICATE, "self-signed certificate")

    def test_dates_are_those_of_the_virtual_clock(self) -> None:
        """A certificate of January 2025 holds in January 2025, whatever the machine's own clock says."""
        begin, end = (dt.datetime(2025, month, 1, tzinfo=dt.UTC) for month in (1, 2))
        month = certificates.issue(("web",), begin=begin, end=end)
        lab = lab_with(partial(contexts.server, month))
        assert isinstance(get(lab, "web"), Fetched)
        day = 86_400 * SECOND
        assert refusal(lab, "web", TRUSTING, None, EPOCH + 40 * day)[1] == "certificate has expired"
        assert refusal(lab, "web", TRUSTING, None, EPOCH - 40 * day)[1] == "certificate is not yet valid"

    def test_who_speaks_no_tls_is_told_so(self) -> None:
        """In plain words, and then left."""
        found = lab_with().run("a", fetch(two_hosts().address("b"), 443))
        assert isinstance(found, Fetched)
        assert found.response.status == 400
        assert found.response.body == b"Client sent an HTTP request to an HTTPS server.\n"

    def test_a_server_without_tls_is_no_server_for_it(self) -> None:
        """The client does not understand its answer."""
        lab = two_hosts()
        lab.start("b", serve(443, hello))
        assert refusal(lab, "web") == (Failure.TLS, "WRONG_VERSION_NUMBER")

    def test_versions_without_overlap_end_in_an_alert(self) -> None:
        """The server refuses, and the client hears why."""
        context = contexts.choosing(SITE, lambda _: SITE)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        old = Wishes(most=ssl.TLSVersion.TLSv1_2)
        assert refusal(lab_with(lambda: context), "web", old) == (Failure.TLS, "TLSV1_ALERT_PROTOCOL_VERSION")

    def test_the_name_chooses_the_certificate(self) -> None:
        """By SNI; who names nobody, or asks by address, gets the default one."""
        asked: list[str | None] = []

        def choose(name: str | None) -> certificates.Credential:
            asked.append(name)
            return certificates.issue((name or "nobody",))

        lab = lab_with(partial(contexts.choosing, SITE, choose))
        assert isinstance(get(lab, "a.example"), Fetched)
        assert isinstance(get(lab, "b.example"), Fetched)
        assert refusal(lab, "10.0.0.2")[0] is Failure.CERTIFICATE
        assert asked == ["a.example", "b.example", None]

    @settings(max_examples=30, deadline=None)
    @given(octets=st.binary(min_size=1, max_size=300), is_record=st.booleans())
    def test_nonsense_never_kills_a_server(self, octets: bytes, *, is_record: bool) -> None:
        """Whatever comes, the next client is served."""
        lab = lab_with()
        start = b"\x16\x03\x01" if is_record else b""
        lab.run("a", _say(lab, start + octets))
        assert isinstance(get(lab), Fetched)


def _say(lab: Lab, octets: bytes) -> Program[None]:
    """Say something that is no hello, or a broken one, and go."""
    socket = yield from program.socket(SocketKind.TCP)
    yield from program.connect(socket, lab.address("b"), 443)
    yield from program.send(socket, octets)
    yield from program.close(socket)


class TestCaptures:
    """What others see of it."""

    def frames(self) -> list[tuple[int, int, str]]:
        """Return time, length and place of each frame of a conversation."""
        lab = lab_with()
        with lab.capture("any") as recorded:
            assert isinstance(get(lab), Fetched)
        return [(each.time_ns, len(each.octets), each.direction.name) for each in recorded.capture.frames]

    def test_two_runs_differ_in_octets_alone(self) -> None:
        """Order, instants and lengths of frames are the same, though OpenSSL's keys are not."""
        assert len({tuple(self.frames()) for _ in range(6)}) == 1

    def test_a_capture_without_tls_has_no_secrets(self, tmp_path: Path) -> None:
        """Those of other connections are not in it."""
        lab = lab_with()
        get(lab)
        with lab.capture("any") as recorded:
            lab.run("a", fetch(lab.address("b"), 443))
        file = tmp_path / "plain.pcapng"
        recorded.write(file)
        assert b"CLIENT" not in file.read_bytes()

    @pytest.mark.tshark
    @pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_wireshark_opens_it(self, tmp_path: Path, newest: ssl.TLSVersion) -> None:
        """The secrets are in the file: requests and answers are read without any key."""
        lab = lab_with()
        with lab.capture("a/*") as recorded:
            get(lab, wishes=Wishes(authorities.ROOT, most=newest), request=Request("GET", "/healthz"))
        file = tmp_path / "tls.pcapng"
        recorded.write(file)
        fields = ["http.request.uri", "http.response.code", "tls.handshake.extensions_server_name"]
        command = ["tshark", "-r", str(file), "-T", "fields", *(w for f in fields for w in ("-e", f))]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [line.split("\t") for line in output.splitlines() if line.strip()]
        assert ["/healthz", "", ""] in rows
        assert ["", "200", ""] in rows
        assert ["", "", "web"] in rows
