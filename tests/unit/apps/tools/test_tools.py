# SPDX-License-Identifier: GPL-2.0-only
"""What people type in pods, and what is printed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from emu.apps import console, dns_server
from emu.apps.http.handlers import hostname
from emu.apps.http.message import Request, Response
from emu.apps.http.server import serve
from emu.fabric.cable import Cable
from emu.fabric.userland import Userland
from emu.kernel.sockets import SocketKind
from emu.observe.lines import LinePrinter
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.lab import Lab, two_hosts
from emu.testing.zone import Zone

if TYPE_CHECKING:
    from pathlib import Path

    from emu.apps.console import Finished

WEB = "web.default.svc.cluster.local"
RESOLV = (
    "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.0.0.2\noptions ndots:5\n"
)
RECORDS = {
    (WEB, "A"): ["10.0.0.2"],
    ("2.0.0.10.in-addr.arpa", "PTR"): [f"{WEB}."],
    (f"_http._tcp.{WEB}", "SRV"): [f"0 100 80 {WEB}."],
    ("example.com", "AAAA"): ["2001:db8::80"],
    ("alias.example", "CNAME"): ["example.com."],
    ("long.example", "A"): [f"192.0.2.{number}" for number in range(1, 150)],
}


def site(request: Request) -> Response:
    """Answer with the host name; `/nope` does not exist, `/old` has moved."""
    match request.path:
        case "/nope":
            return Response.text("no\n", 404)
        case "/old":
            return Response(302, (("Location", "/new"),))
        case _:
            return Response.text("web-0\n")


def lab_with_names() -> Lab:
    """Return host `a`, and host `b` with a name server and a web server."""
    lab = two_hosts()
    lab.start("b", dns_server.serve(Zone(RECORDS).answer))
    lab.start("b", serve(80, site))
    userland = lab.namespace("a").userland
    userland.files["/etc/resolv.conf"] = RESOLV
    userland.hostname = "client"
    userland.environment.update({"WEB_SERVICE_HOST": "10.0.0.2", "EMPTY": ""})
    return lab


def typed(line: str, lab: Lab | None = None) -> Finished:
    """Run a command line on host `a`."""
    return (lab or lab_with_names()).namespace("a").execute(shlex.split(line))


class TestNames:
    """Tools that took addresses take names."""

    def test_ping_tells_the_canonical_name(self) -> None:
        """And who answers, by name."""
        lines = typed("ping -c 1 web").stdout.splitlines()
        assert lines[:2] == [
            f"PING {WEB} (10.0.0.2) 56(84) bytes of data.",
            f"64 bytes from {WEB} (10.0.0.2): icmp_seq=1 ttl=64 time=0.000 ms",
        ]

    def test_ping_of_a_number_asks_for_no_name(self) -> None:
        """Nor does -n."""
        lab = lab_with_names()
        typed("ping -c 1 10.0.0.2", lab)
        assert not any(step.octets[23:24] == b"\x11" for step in lab.at("a/eth0"))

    def test_ping_sends_whatever_is_answered(self) -> None:
        """Each interval after the one before; -W is waited for once, after the last one."""
        lab = lab_with_names()
        lab.namespace("a").execute(
            ["ip", "neigh", "add", "10.0.0.77", "lladdr", "02:00:00:00:00:77", "dev", "eth0"]
        )
        finished = typed("ping -c 5 -W 3 10.0.0.77", lab)
        assert "5 packets transmitted, 0 received, 100% packet loss, time 7000ms" in finished.stdout

    def test_ping_sends_at_whole_intervals_however_long_answers_take(self) -> None:
        """The round trip is no part of the pause."""
        lab = lab_with_names()
        lab.plug("a/eth0", "b/eth0", Cable(latency=700 * MILLISECOND))
        finished = typed("ping -c 3 -i 1 -W 5 10.0.0.2", lab)
        sequences = [part for part in finished.stdout.split() if part.startswith("icmp_seq=")]
        assert sequences == ["icmp_seq=1", "icmp_seq=2", "icmp_seq=3"]
        assert "3 packets transmitted, 3 received, 0% packet loss, time 3400ms" in finished.stdout

    @pytest.mark.parametrize("tool", ["ping", "traceroute"])
    def test_an_unknown_name_is_told(self, tool: str) -> None:
        """With status 2."""
        finished = typed(f"{tool} nope")
        assert (finished.stderr, finished.status) == (f"{tool}: nope: Name or service not known\n", 2)

    def test_traceroute_takes_a_name(self) -> None:
        """And shows its address."""
        assert typed("traceroute web").stdout.startswith("traceroute to web (10.0.0.2), 30 hops max")


class TestWget:
    """As busybox has it."""

    def test_quiet_and_to_standard_output(self) -> None:
        """The most usual way."""
        assert typed("wget -qO- http://web/old") == console.Finished("web-0\n")

    def test_a_file_keeps_the_body(self) -> None:
        """By the last part of the path."""
        lab = lab_with_names()
        finished = typed("wget web/page", lab)
        assert finished.stderr == "Connecting to web (10.0.0.2:80)\nsaving to 'page'\n'page' saved\n"
        assert lab.namespace("a").userland.files["/page"] == "web-0\n"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("nope", "bad address 'nope'"),
            ("web:81", "can't connect to remote host (10.0.0.2): Connection refused"),
            ("web/nope", "server returned error: HTTP/1.1 404 Not Found"),
            (
                "https://web",
                """\
note: TLS certificate validation not implemented
wget: can't connect to remote host (10.0.0.2): Connection refused""",
            ),
        ],
    )
    def test_what_went_wrong_is_told(self, words: str, said: str) -> None:
        """With status 1."""
        finished = typed(f"wget -q {words}")
        assert (finished.status, finished.stderr) == (1, f"wget: {said}\n")


class TestNc:
    """As Debian's netcat-openbsd has it."""

    @pytest.mark.parametrize(
        ("words", "status", "said"),
        [
            ("-zv web 80", 0, "Connection to web (10.0.0.2) 80 port [tcp/http] succeeded!\n"),
            ("-zvn 10.0.0.2 80", 0, "Connection to 10.0.0.2 80 port [tcp/*] succeeded!\n"),
            ("-z web http", 0, ""),
            ("-zv web 81", 1, "nc: connect to web (10.0.0.2) port 81 (tcp) failed: Connection refused\n"),
            ("-z web 81", 1, ""),
            ("-zv nope 80", 1, 'nc: getaddrinfo for host "nope" port 80: Name or service not known\n'),
            ("-zvu web 53", 0, "Connection to web (10.0.0.2) 53 port [udp/domain] succeeded!\n"),
            ("-zvu web 54", 1, ""),
            ("-zv web 99999", 1, "nc: port number invalid: 99999\n"),
            ("-zQ web 80", 1, "nc: invalid option, or not modelled -- 'Q'\n"),
        ],
    )
    def test_a_port_is_probed(self, words: str, status: int, said: str) -> None:
        """And -v tells how it went."""
        finished = typed(f"nc {words}")
        assert (finished.status, finished.stderr) == (status, said)

    def test_a_silent_host_costs_the_wait(self) -> None:
        """Of -w."""
        lab = lab_with_names()
        lab.namespace("b").run("iptables -A INPUT -p tcp -j DROP")
        finished = typed("nc -zv -w 3 10.0.0.2 80", lab)
        assert (
            finished.stderr == "nc: connect to 10.0.0.2 port 80 (tcp) timed out: Operation now in progress\n"
        )
        assert lab.fabric.loop.now == 3 * SECOND

    def test_a_range_is_probed_port_by_port(self) -> None:
        """Each with its line."""
        assert len(typed("nc -zv web 79-81").stderr.splitlines()) == 3

    @pytest.mark.parametrize("protocol", ["", "-u", "--sctp"])
    def test_one_listens_and_the_other_connects(self, protocol: str) -> None:
        """By TCP, UDP and SCTP."""
        lab = two_hosts()
        listener = lab.start("b", console.run(["nc", "-lvn", *protocol.split(), "-w", "1", "9000"]))
        finished = typed(f"nc -vn -w 1 {protocol} 10.0.0.2 9000", lab)
        lab.wait(3 * SECOND)
        assert "succeeded" in finished.stderr
        assert "Connection received on 10.0.0.1" in listener.result.stderr
        assert list(lab.net("b").sockets.of(SocketKind.TCP)) == []


class TestDig:
    """As BIND 9.18 has it."""

    def test_the_whole_answer(self) -> None:
        """In BIND's columns, without WHEN."""
        text = typed(f"dig @10.0.0.2 {WEB} +nocookie").stdout
        number = text.split("id: ")[1].split("\n")[0]
        assert text == (
            f"\n; <<>> DiG 9.18.28 <<>> @10.0.0.2 {WEB} +nocookie\n; (1 server found)\n"
            f";; global options: +cmd\n;; Got answer:\n"
            f";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: {number}\n"
            ";; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1\n"
            ";; WARNING: recursion requested but not available\n\n"
            ";; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: 8192\n"
            f";; QUESTION SECTION:\n;{WEB}.\tIN\tA\n\n"
            f";; ANSWER SECTION:\n{WEB}. 30 IN\tA\t10.0.0.2\n\n"
            ";; Query time: 0 msec\n;; SERVER: 10.0.0.2#53(10.0.0.2) (UDP)\n;; MSG SIZE  rcvd: 74\n\n"
        )

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            ("+short +search web", "10.0.0.2\n"),
            ("+short web", ""),
            ("-x 10.0.0.2 +noall +answer", f"2.0.0.10.in-addr.arpa.\t30\tIN\tPTR\t{WEB}.\n"),
            (f"SRV _http._tcp.{WEB} +short", f"0 100 80 {WEB}.\n"),
            ("example.com AAAA +noall +answer", "example.com.\t\t30\tIN\tAAAA\t2001:db8::80\n"),
        ],
    )
    def test_less_of_it(self, words: str, text: str) -> None:
        """By +short and +noall."""
        assert typed(f"dig {words}").stdout == text

    @pytest.mark.parametrize(("words", "transport"), [("", "TCP"), ("+ignore", "UDP"), ("+tcp", "TCP")])
    def test_a_long_answer_comes_by_tcp(self, words: str, transport: str) -> None:
        """After truncation, or at once."""
        assert f"({transport})" in typed(f"dig long.example {words}").stdout

    def test_a_closed_port_is_told_for_each_try(self) -> None:
        """With status 9."""
        finished = typed("dig @10.0.0.1 x +tries=2 +nocmd")
        assert finished.status == 9
        assert finished.stdout.count(";; communications error to 10.0.0.1#53: connection refused\n") == 2
        assert finished.stdout.endswith(";; no servers could be reached\n\n")

    def test_silence_costs_the_time_of_each_try(self) -> None:
        """By +time and +tries."""
        lab = lab_with_names()
        lab.namespace("b").run("iptables -A INPUT -p udp -j DROP")
        finished = typed("dig web +time=2 +tries=3", lab)
        assert finished.stdout.count(": timed out\n") == 3
        assert lab.fabric.loop.now == 6 * SECOND

    @pytest.mark.parametrize("words", ["+nope", "-Z", "x y", "-x web", "a..b", "-p 0 x"])
    def test_what_is_not_modelled_is_refused(self, words: str) -> None:
        """And nothing is asked."""
        assert typed(f"dig {words}").status != 0


class TestNslookup:
    """As BIND 9.18 has it."""

    SERVER = "Server:\t\t10.0.0.2\nAddress:\t10.0.0.2#53\n\n"

    @pytest.mark.parametrize(
        ("words", "status", "text"),
        [
            ("web", 0, f"{SERVER}Name:\t{WEB}\nAddress: 10.0.0.2\n\n"),
            ("web 10.0.0.2", 0, f"{SERVER}Name:\t{WEB}\nAddress: 10.0.0.2\n\n"),
            ("nope", 1, f"{SERVER}** server can't find nope: NXDOMAIN\n\n"),
            ("10.0.0.2", 0, f"2.0.0.10.in-addr.arpa\tname = {WEB}.\n\n"),
            ("-type=TXT web", 0, f"{SERVER}*** Can't find web: No answer\n\n"),
            ("example.com", 0, f"{SERVER}Name:\texample.com\nAddress: 2001:db8::80\n\n"),
            ("-type=srv _http._tcp.web", 0, f"{SERVER}_http._tcp.{WEB}\tservice = 0 100 80 {WEB}.\n\n"),
        ],
    )
    def test_an_answer(self, words: str, status: int, text: str) -> None:
        """By the search list."""
        finished = typed(f"nslookup {words}")
        assert (finished.status, finished.stdout) == (status, text)

    def test_nobody_there(self) -> None:
        """With status 1."""
        finished = typed("nslookup web 10.0.0.1")
        assert finished.status == 1
        assert finished.stdout.endswith(";; no servers could be reached\n\n")


@pytest.mark.parametrize(
    ("line", "finished"),
    [
        ("host web", console.Finished(f"{WEB} has address 10.0.0.2\n")),
        ("host 10.0.0.2", console.Finished(f"2.0.0.10.in-addr.arpa domain name pointer {WEB}.\n")),
        ("host nope", console.Finished("Host nope not found: 3(NXDOMAIN)\n", status=1)),
        ("host -t SRV web", console.Finished(f"{WEB} has no SRV record\n")),
        ("getent hosts web", console.Finished(f"10.0.0.2        {WEB}\n")),
        ("getent hosts 10.0.0.2", console.Finished(f"10.0.0.2        {WEB}\n")),
        ("getent hosts nope", console.Finished(status=2)),
        ("cat /etc/resolv.conf", console.Finished(RESOLV)),
        ("/bin/cat /etc/hostname", console.Finished("client\n")),
        ("cat /proc/sys/net/ipv4/ip_forward", console.Finished("0\n")),
        ("cat /nope", console.Finished("", "cat: /nope: No such file or directory\n", 1)),
        ("hostname", console.Finished("client\n")),
        ("hostname -f", console.Finished("", "hostname: Name or service not known\n", 1)),
        ("hostname -I", console.Finished("10.0.0.1 \n")),
        ("env", console.Finished("WEB_SERVICE_HOST=10.0.0.2\nEMPTY=\n")),
        ("printenv WEB_SERVICE_HOST NOPE", console.Finished("10.0.0.2\n", status=1)),
        ("echo -n a  b", console.Finished("a b")),
        ("true", console.Finished()),
        ("false", console.Finished(status=1)),
        ("sleep x", console.Finished("", "sleep: invalid time interval 'x'\n", 1)),
    ],
)
def test_small_tools_print_what_they_print(line: str, finished: Finished) -> None:
    """Text and status."""
    assert typed(line) == finished


def test_without_a_userland_the_name_is_the_namespaces() -> None:
    """As before there were any."""
    assert typed("hostname", two_hosts()).stdout == "a\n"


def test_sleep_takes_its_time() -> None:
    """The sum of what it is given."""
    lab = two_hosts()
    typed("sleep 1.5 1m", lab)
    assert lab.fabric.loop.now == 61.5 * SECOND


class TestShell:
    """`sh -c`, with simple commands alone."""

    @pytest.mark.parametrize(
        ("line", "stdout", "status"),
        [
            ("curl -s http://$WEB_SERVICE_HOST/", "web-0\n", 0),
            ("echo a; echo b", "a\nb\n", 0),
            ("true && echo yes || echo no", "yes\n", 0),
            ("false && echo yes || echo no", "no\n", 0),
            ("false; true; false", "", 1),
            ("echo 'a  $EMPTY' \"b $EMPTY ${WEB_SERVICE_HOST}\"", "a  $EMPTY b  10.0.0.2\n", 0),
            ("echo a; exit 3; echo b", "a\n", 3),
            ("echo one\necho two", "one\ntwo\n", 0),
        ],
    )
    def test_commands_run_one_after_the_other(self, line: str, stdout: str, status: int) -> None:
        """And the last status counts."""
        finished = lab_with_names().namespace("a").execute(["sh", "-c", line])
        assert (finished.stdout, finished.status) == (stdout, status)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("curl web | grep x", "a pipe (|)"),
            ("curl web > x", "a redirection (>)"),
            ("curl web &", "a background job (&)"),
            ("echo $(hostname)", "command substitution ($()"),
            ("for i in 1 2; do true; done", "for"),
            ("echo 'a", "Unterminated quoted string"),
            ("true &&", "end of file unexpected"),
            ("&& true", '"&&" unexpected'),
        ],
    )
    def test_what_is_not_modelled_is_refused_by_name(self, line: str, said: str) -> None:
        """Before anything runs."""
        finished = lab_with_names().namespace("a").execute(["sh", "-c", line])
        assert finished.status == 2
        assert said in finished.stderr


class TestObserved:
    """What captures show of it."""

    def test_tcpdump_shows_names_and_requests(self) -> None:
        """One line each."""
        lab = lab_with_names()
        typed("curl web", lab)
        printer = LinePrinter()
        lines = [printer.text(step.octets) for step in lab.at("a/eth0")]
        assert any(f"A? {WEB}." in line for line in lines)
        assert any("GET / HTTP/1.1" in line for line in lines)

    @pytest.mark.tshark
    @pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
    def test_tshark_finds_nothing_malformed(self, tmp_path: Path) -> None:
        """Neither by UDP nor by TCP."""
        lab = lab_with_names()
        with lab.capture("a/eth0") as recorded:
            typed("curl web", lab)
            typed("dig long.example", lab)
        recorded.write(tmp_path / "dns.pcap")
        found = subprocess.run(
            ["tshark", "-r", tmp_path / "dns.pcap", "-Y", "_ws.malformed || _ws.expert.severity == error"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout == ""

    def test_the_same_seed_gives_the_same_octets(self) -> None:
        """Numbers of queries, ports, and all else."""

        def octets() -> list[bytes]:
            lab = lab_with_names()
            for line in ("curl web", "dig web", "nslookup web"):
                typed(line, lab)
            return [step.octets for step in lab.at("a/eth0")]

        assert octets() == octets()


def test_the_hostname_server_and_curl_meet() -> None:
    """As in the best known demonstration."""
    lab = two_hosts()
    lab.start("b", serve(80, hostname(Userland("web-0"))))
    assert typed("curl -s 10.0.0.2", lab).stdout == "web-0\n"
