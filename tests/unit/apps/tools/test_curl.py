# SPDX-License-Identifier: GPL-2.0-only
"""curl prints what curl 8.14 prints, and ends as it ends."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from emu.apps.http.message import Request, Response
from emu.apps.http.server import serve
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.answering import answer_once
from emu.testing.lab import Lab, two_hosts

if TYPE_CHECKING:
    from pathlib import Path

    from emu.apps.console import Finished
    from emu.fabric.program import Program

HOSTS = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n"


def site(request: Request) -> Response | Program[Response]:
    """Answer as the path says."""
    match request.path.split("/")[1:]:
        case ["status", code]:
            return Response.text(f"{code}\n", int(code))
        case ["to", *rest]:
            return Response(302, (("Location", "/" + "/".join(rest)),))
        case ["slow", seconds]:
            return late(int(seconds))
        case ["echo"]:
            fields = "".join(f"{name}: {value}\n" for name, value in request.headers)
            return Response.text(f"{request.method} {request.target}\n{fields}\n{request.body.decode()}")
        case _:
            return Response.text("hello\n")


def late(seconds: int) -> Program[Response]:
    """Answer after some seconds."""
    yield from program.sleep(seconds * SECOND)
    return Response.text("late\n")


def lab_with_site(hosts: str = HOSTS) -> Lab:
    """Return two hosts, the second of which serves `site`, and is called `web`."""
    lab = two_hosts()
    lab.start("b", serve(80, site))
    lab.namespace("a").userland.files["/etc/hosts"] = hosts
    return lab


def curl(*argv: str, lab: Lab | None = None) -> Finished:
    """Run curl on host `a`."""
    return (lab or lab_with_site()).namespace("a").execute(["curl", *argv])


class TestBody:
    """Where the body goes."""

    def test_it_is_printed(self) -> None:
        """By name or by address, and nothing else."""
        for url in ("web", "http://10.0.0.2/", "10.0.0.2:80/x?y"):
            finished = curl(url)
            assert (finished.stdout, finished.stderr, finished.status) == ("hello\n", "", 0)

    def test_a_file_keeps_it(self) -> None:
        """It can be read afterwards; /dev/null keeps nothing."""
        lab = lab_with_site()
        assert curl("-so", "/tmp/page", "web", "-o", "/dev/null", "web", lab=lab).stdout == ""  # noqa: S108 - no real file
        assert lab.namespace("a").userland.files["/tmp/page"] == "hello\n"  # noqa: S108 - no real file
        assert "/dev/null" not in lab.namespace("a").userland.files

    def test_include_shows_the_head_before_it(self) -> None:
        """As it came."""
        lines = curl("-i", "web").stdout.split("\r\n")
        assert (lines[0], lines[-2:]) == ("HTTP/1.1 200 OK", ["", "hello\n"])

    def test_head_asks_for_the_head_alone(self) -> None:
        """By HEAD."""
        assert curl("-I", "web").stdout == (
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\r\n"
        )


class TestRequest:
    """What is asked."""

    def test_the_fields_are_curls(self) -> None:
        """In curl's order."""
        assert curl("web/echo").stdout == ("GET /echo\nHost: web\nUser-Agent: curl/8.14.1\nAccept: */*\n\n")

    def test_fields_can_be_added_replaced_and_left_out(self) -> None:
        """By -H and -A."""
        words = ("-H", "Host: shop.example", "-H", "X-A: 1", "-H", "Accept:", "-A", "probe", "web/echo")
        assert curl(*words).stdout == "GET /echo\nHost: shop.example\nUser-Agent: probe\nX-A: 1\n\n"

    def test_data_makes_a_post(self) -> None:
        """Joined by &."""
        assert curl("-d", "a=1", "-d", "b=2", "web/echo").stdout == (
            "POST /echo\nHost: web\nUser-Agent: curl/8.14.1\nAccept: */*\nContent-Length: 7\n"
            "Content-Type: application/x-www-form-urlencoded\n\na=1&b=2"
        )

    def test_data_can_come_from_a_file(self) -> None:
        """Of the userland."""
        lab = lab_with_site()
        lab.namespace("a").userland.write("/etc/q", "from=file\n")
        assert curl("-d", "@/etc/q", "web/echo", lab=lab).stdout.endswith("\nfrom=file")
        assert curl("-d", "@/nope", "web/echo", lab=lab).status == 26

    def test_data_goes_into_the_query_if_get_is_asked_for(self) -> None:
        """By -G."""
        assert curl("-G", "-d", "a=1", "web/echo").stdout.startswith("GET /echo?a=1\n")

    def test_redirects_are_followed_if_that_is_asked_for(self) -> None:
        """And only then."""
        assert curl("-L", "web/to/x").stdout == "hello\n"
        assert curl("web/to/x").stdout == ""

    def test_redirects_are_not_followed_for_ever(self) -> None:
        """As many as --max-redirs says."""
        finished = curl("-L", "--max-redirs", "2", "web/to/to/to/x")
        assert (finished.status, finished.stderr) == (47, "curl: (47) Maximum (2) redirects followed\n")

    def test_resolve_knows_a_name(self) -> None:
        """Without asking anybody."""
        assert curl("--resolve", "shop:80:10.0.0.2", "http://shop/").stdout == "hello\n"

    def test_interface_chooses_the_source(self) -> None:
        """An address, or a device that has one."""
        lab = lab_with_site()
        lab.namespace("a").run("ip addr add 10.0.0.77/24 dev eth0")
        written = ("-so", "/dev/null", "-w", "%{local_ip}", "web")
        assert curl("--interface", "10.0.0.77", *written, lab=lab).stdout == "10.0.0.77"
        assert curl("--interface", "eth0", *written, lab=lab).stdout == "10.0.0.1"
        assert curl("--interface", "eth9", *written, lab=lab).status == 45

    def test_one_connection_serves_several_urls(self) -> None:
        """If the server keeps it."""
        words = (
            "-s",
            "-w",
            "%{num_connects} %{local_port}\n",
            "web",
            "web",
            "-o",
            "/dev/null",
            "-o",
            "/dev/null",
        )
        first, second = (line.split() for line in curl(*words).stdout.splitlines())
        assert (first[0], second[0], first[1] == second[1]) == ("1", "0", True)


class TestWriteOut:
    """What -w tells."""

    def test_variables_are_filled_in(self) -> None:
        """And escapes and per cent signs."""
        finished = curl("-so", "/dev/null", "-w", r"%{http_code} %{remote_ip}:%{remote_port} 100%%\n", "web")
        assert finished.stdout == "200 10.0.0.2:80 100%\n"

    def test_times_are_virtual(self) -> None:
        """In seconds, to the microsecond."""
        finished = curl("-so", "/dev/null", "-w", "%{time_total} %{time_starttransfer}", "web/slow/2")
        assert [word[:4] for word in finished.stdout.split()] == ["2.00", "2.00"]

    def test_without_an_answer_the_code_is_000(self) -> None:
        """And it is written all the same."""
        assert curl("-s", "-w", "%{http_code} %{exitcode}", "web:81").stdout == "000 7"

    def test_an_unknown_variable_is_told(self) -> None:
        """And leaves nothing."""
        finished = curl("-s", "-w", "[%{nope}]", "web")
        assert (finished.stdout, finished.stderr) == (
            "hello\n[]",
            "curl: unknown --write-out variable: 'nope'\n",
        )


class TestErrors:
    """Texts and statuses."""

    @pytest.mark.parametrize(
        ("words", "status", "said"),
        [
            ("nope", 6, "curl: (6) Could not resolve host: nope\n"),
            (
                "web:81",
                7,
                "curl: (7) Failed to connect to web port 81 after 0 ms: Could not connect to server\n",
            ),
            ("-s web:81", 7, ""),
            ("-sS -f web/status/404", 22, "curl: (22) The requested URL returned error: 404\n"),
            (
                "-m 2 web/slow/5",
                28,
                "curl: (28) Operation timed out after 2000 milliseconds with 0 bytes received\n",
            ),
            (
                "https://web",
                7,
                "curl: (7) Failed to connect to web port 443 after 0 ms: Could not connect to server\n",
            ),
            ("ftp://web", 1, 'curl: (1) Protocol "ftp" not supported or not modelled\n'),
            (
                "http://web:99999/",
                3,
                "curl: (3) URL rejected: Port number was not a decimal number between 0 and 65535\n",
            ),
            ("http:///x", 3, "curl: (3) URL rejected: No host part in the URL\n"),
        ],
    )
    def test_what_went_wrong_is_told(self, words: str, status: int, said: str) -> None:
        """As curl tells it."""
        finished = curl(*words.split())
        assert (finished.status, finished.stderr) == (status, said)

    @pytest.mark.parametrize("words", ["--nope web", "-m", "-m x web", "", "--retry -1 web"])
    def test_a_wrong_command_line_ends_with_2(self, words: str) -> None:
        """And a hint."""
        finished = curl(*words.split())
        assert finished.status == 2
        assert "curl --help" in finished.stderr

    def test_a_silent_host_costs_the_timeout(self) -> None:
        """Of the connection, or of it all."""
        lab = lab_with_site()
        lab.namespace("b").run("iptables -A INPUT -p tcp -j DROP")
        assert curl("--connect-timeout", "2", "web", lab=lab).stderr == (
            "curl: (28) Failed to connect to web port 80 after 2000 ms: Timeout was reached\n"
        )
        assert curl("-m", "3", "web", lab=lab).stderr == (
            "curl: (28) Connection timed out after 3000 milliseconds\n"
        )
        start = lab.fabric.loop.now
        finished = curl("web", lab=lab)
        assert finished.status == 28
        assert "Could not connect to server" in finished.stderr
        assert lab.fabric.loop.now - start > 60 * SECOND

    def test_a_silent_name_server_costs_the_timeout_too(self) -> None:
        """The resolver is given up, and its socket closed."""
        lab = lab_with_site()
        lab.namespace("b").run("iptables -A INPUT -p udp -j DROP")
        lab.namespace("a").userland.files["/etc/resolv.conf"] = "nameserver 10.0.0.2\n"
        finished = curl("-m", "1", "shop", lab=lab)
        assert finished.stderr == "curl: (28) Resolving timed out after 1000 milliseconds\n"
        assert list(lab.net("a").sockets.of(SocketKind.UDP)) == []

    def test_the_next_address_is_tried(self) -> None:
        """If nobody listens at the first."""
        lab = lab_with_site("10.0.0.1\tweb\n10.0.0.2\tweb\n")
        finished = curl("-v", "web", lab=lab)
        assert finished.stdout == "hello\n"
        assert finished.stderr.count("*   Trying ") >= 1

    @pytest.mark.parametrize(
        ("octets", "status", "said"),
        [
            (b"", 52, "Empty reply from server"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
                18,
                "end of response with 4 bytes missing",
            ),
            (b"220 mail\r\n", 1, "Received HTTP/0.9 when not allowed"),
        ],
    )
    def test_half_answers_are_told_apart(self, octets: bytes, status: int, said: str) -> None:
        """The server closed too early, or speaks something else."""
        lab = two_hosts()
        lab.start("b", answer_once(octets))
        finished = curl("10.0.0.2", lab=lab)
        assert (finished.status, finished.stderr) == (status, f"curl: ({status}) {said}\n")

    def test_a_reset_is_told(self) -> None:
        """As the socket tells it."""

        def other() -> Program[None]:
            socket = yield from program.socket(SocketKind.TCP)
            yield from program.bind(socket, lab.address("b"), 80)
            yield from program.listen(socket)
            taken = yield from program.accept(socket)
            yield from program.linger(taken, 0)
            yield from program.receive(taken)
            yield from program.close(taken)

        lab = two_hosts()
        lab.start("b", other())
        assert curl("10.0.0.2", lab=lab).stderr == "curl: (56) Recv failure: Connection reset by peer\n"

    def test_retries_wait_longer_each_time(self) -> None:
        """One second, then two."""
        lab = lab_with_site()
        finished = curl("--retry", "2", "-o", "/dev/null", "web/status/503", lab=lab)
        assert finished.stderr == (
            "Warning: Problem: HTTP error. Will retry in 1 second. 2 retries left.\n"
            "Warning: Problem: HTTP error. Will retry in 2 seconds. 1 retry left.\n"
        )
        assert lab.fabric.loop.now // SECOND == 3


class TestVerbose:
    """What -v tells."""

    def test_the_conversation_is_told(self) -> None:
        """On standard error, in curl's words."""
        finished = curl("-v", "web")
        assert finished.stderr == (
            "* Host web:80 was resolved.\n* IPv6: (none)\n* IPv4: 10.0.0.2\n*   Trying 10.0.0.2:80...\n"
            "* Connected to web (10.0.0.2) port 80\n* using HTTP/1.x\n> GET / HTTP/1.1\n> Host: web\n"
            "> User-Agent: curl/8.14.1\n> Accept: */*\n> \n* Request completely sent off\n"
            "< HTTP/1.1 200 OK\n< Content-Type: text/plain; charset=utf-8\n< Content-Length: 6\n< \n"
            "* Connection #0 to host web left intact\n"
        )

    def test_so_is_a_failure(self) -> None:
        """With each address that was tried."""
        assert curl("-v", "10.0.0.2:81").stderr == (
            "*   Trying 10.0.0.2:81...\n* connect to 10.0.0.2 port 81 failed: Connection refused\n"
            "* Failed to connect to 10.0.0.2 port 81 after 0 ms: Could not connect to server\n"
            "* closing connection #0\n"
            "curl: (7) Failed to connect to 10.0.0.2 port 81 after 0 ms: Could not connect to server\n"
        )


def test_no_time_is_lost() -> None:
    """Between the segments of an exchange."""
    lab = lab_with_site()
    curl("web", lab=lab)
    assert lab.fabric.loop.now < MILLISECOND


@pytest.mark.tshark
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_the_request_and_the_answer(tmp_path: Path) -> None:
    """And finds no frame malformed."""
    lab = lab_with_site()
    with lab.capture("a/eth0") as recorded:
        curl("web/echo?x=1", lab=lab)
    recorded.write(tmp_path / "curl.pcap")
    fields = ("-T", "fields", "-e", "http.request.uri", "-e", "http.host", "-e", "http.response.code")
    found = subprocess.run(
        ["tshark", "-r", tmp_path / "curl.pcap", "-Y", "http || _ws.malformed", *fields],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == ["/echo?x=1\tweb\t", "\t\t200"]
