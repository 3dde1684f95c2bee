# SPDX-License-Identifier: GPL-2.0-only
"""The failures of `topologies/failures/`: each has its code, and is mended by the fix that is shown."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from click.testing import CliRunner

from emu import lab
from emu.cli import cli

if TYPE_CHECKING:
    from emu.verify.flow import Flow

FOLDER: Final = Path(__file__).parents[2] / "topologies" / "failures"
FILES: Final = sorted(FOLDER.glob("*.yaml"))
_TOLD: Final = re.compile(r"^#   \$ emu (trace .+)\n#   (?!\$)(.+)$", re.MULTILINE)
_COMMAND: Final = re.compile(r"^#   \$ emu (?!trace |test )(.+)$", re.MULTILINE)
TOLD: Final = [
    pytest.param(path, *found.groups(), id=f"{path.stem}: {found[1].partition('.yaml ')[2]}")
    for path in FILES
    for found in _TOLD.finditer(path.read_text())
]
COMMANDS: Final = [
    pytest.param(found[1], id=f"{path.stem}: {found[1][:20]}")
    for path in FILES
    for found in _COMMAND.finditer(path.read_text())
]


class Case(NamedTuple):
    """A question, and what comes of it.

    `fixed` is the verdict behind the fix that is shown, empty if there is none;
    `payload` the octets that have to arrive, too; `races` whether packets may overtake each other, `beside`
    whom they race with.
    """

    name: str
    source: str
    target: str
    verdict: str
    code: str | None
    fixed: str
    payload: int = 0
    races: bool = False
    beside: str = ""


_CONTROLLER: Final = "deploy/ingress-nginx/ingress-nginx-controller"

CASES: Final = [
    Case("affinity-behind-nat", "ext/bob", "svc/web", "ALWAYS", None, ""),
    Case("bridge-nf-call-iptables-off", "client", "svc/web", "SOMETIMES", "REPLY_NOT_UNNATED", "ALWAYS"),
    Case("client-address-lost", "ext/laptop", "node/worker-1:30080", "ALWAYS", None, ""),
    Case("conntrack-invalid", "client", "web:8080", "NEVER", "CT_INVALID", "ALWAYS"),
    Case("dns-cut-by-egress-policy", "client", "svc/web", "ALWAYS", None, ""),
    Case(
        "dns-cut-by-egress-policy",
        "client",
        "web.default:80",
        "NEVER",
        "NETPOL_EGRESS",
        "ALWAYS",
    ),
    Case("external-name-and-tls", "client", "api.default:443", "ALWAYS", None, ""),
    Case("forward-drop", "client", "svc/web", "NEVER", "FORWARD_POLICY_DROP", "ALWAYS"),
    Case("headless", "client", "web.default:80", "NEVER", "NO_SOCKET", "ALWAYS"),
    Case("headless", "client", "db.default:5432", "NEVER", "DNS_NXDOMAIN", "ALWAYS"),
    Case("load-balancer-bypassed", "client", "203.0.113.128:80", "NEVER", "LB_BYPASSED", "ALWAYS"),
    Case("ipvs-port-again", "client:9125", "svc/web", "NEVER", "IPVS_STALE_CONNECTION", "ALWAYS"),
    Case("ipvs-without-strict-arp", "ext/laptop", "svc/web", "NEVER", "ARP_MULTI_REPLY", "ALWAYS"),
    Case(
        "local-without-endpoint",
        "ext/laptop",
        "svc/unchecked",
        "SOMETIMES",
        "SVC_NO_LOCAL_ENDPOINT",
        "ALWAYS",
    ),
    Case("stale-neighbour", "ext/laptop", "svc/web", "NEVER", "DUP_IP", "ALWAYS"),
    Case("hairpin-off", "web-1", "svc/web", "SOMETIMES", "BRIDGE_HAIRPIN_OFF", "ALWAYS"),
    Case("hairpin-off", "registry", "svc/registry", "NEVER", "BRIDGE_HAIRPIN_OFF", "ALWAYS"),
    Case(
        "host-network-and-policies",
        "ingress/controller",
        "svc/shop/web",
        "NEVER",
        "NETPOL_INGRESS",
        "ALWAYS",
    ),
    Case("ingress-mismatch", "ext/laptop", "node/worker-1:443", "ALWAYS", None, ""),
    Case("ingress-bad-gateway", "ext/laptop", "node/worker-1:80", "ALWAYS", None, ""),
    Case("ingress-bad-gateway", _CONTROLLER, "svc/shop/wrong-port", "NEVER", "NO_SOCKET", "ALWAYS"),
    Case("ingress-bad-gateway", _CONTROLLER, "svc/shop/no-endpoints", "NEVER", "SVC_NO_ENDPOINTS", "ALWAYS"),
    Case("ingress-bad-gateway", _CONTROLLER, "svc/shop/guarded", "NEVER", "NETPOL_INGRESS", "ALWAYS"),
    Case("ipblock-and-nat", "ext/laptop", "node/worker-1:30080", "NEVER", "NETPOL_INGRESS", "ALWAYS"),
    Case("ipblock-and-nat", "client", "svc/db", "NEVER", "NETPOL_EGRESS", "ALWAYS"),
    Case(
        "local-without-endpoint",
        "ext/laptop",
        "node/worker-2:30080",
        "NEVER",
        "SVC_NO_LOCAL_ENDPOINT",
        "ALWAYS",
    ),
    Case("mtu-black-hole", "client", "svc/web", "NEVER", "PMTU_BLACKHOLE", "ALWAYS", 2000),
    Case("mtu-black-hole", "client", "svc/web", "ALWAYS", None, ""),
    Case("ndots", "client", "api.example.com:80", "ALWAYS", None, ""),
    Case(
        "node-port-on-localhost",
        "node/worker-1",
        "127.0.0.1:30080",
        "NEVER",
        "SVC_NODEPORT_ADDRESS",
        "ALWAYS",
    ),
    Case(
        "node-port-on-localhost",
        "node/worker-2",
        "10.9.0.11:30080",
        "NEVER",
        "SVC_NODEPORT_ADDRESS",
        "ALWAYS",
    ),
    Case("overlapping-ranges", "client", "web:8080", "NEVER", "CIDR_OVERLAP", "ALWAYS"),
    Case("policies-not-enforced", "batch", "svc/db", "ALWAYS", None, "NEVER"),
    Case("policies-not-enforced", "frontend", "svc/db", "ALWAYS", None, ""),
    Case("policy-and-or", "client", "svc/db-and", "NEVER", "NETPOL_INGRESS", "ALWAYS"),
    Case("policy-and-or", "alice/job", "svc/db-or", "ALWAYS", None, ""),
    Case("dns-five-seconds", "plain", "web.default:80", "ALWAYS", None, ""),
    Case("snat-ports", "greedy", "ext/partner:443", "NEVER", "CT_NAT_PORTS_EXHAUSTED", ""),
    Case(
        "dns-five-seconds",
        "plain",
        "dns://web",
        "SOMETIMES",
        "CT_INSERT_FAILED",
        "ALWAYS",
        races=True,
    ),
    Case("dns-node-local", "cached", "dns://web", "ALWAYS", None, "", races=True),
    Case("snat-ports", "one", "ext/partner:443", "ALWAYS", None, ""),
    Case(
        "snat-ports",
        "one:40001",
        "ext/partner:443",
        "SOMETIMES",
        "CT_INSERT_FAILED",
        "ALWAYS",
        races=True,
        beside="other:40001",
    ),
    Case("connections-stay", "client-1", "svc/api", "ALWAYS", None, ""),
    Case("policy-leaves-connections", "client", "svc/db", "NEVER", "NETPOL_INGRESS", "ALWAYS"),
    Case("rollout-refuses", "client", "svc/bare", "ALWAYS", None, ""),
    Case("rollout-refuses", "client", "svc/polite", "ALWAYS", None, ""),
    Case("stale-udp", "client:9125", "svc/statsd", "NEVER", "CT_STALE_DNAT", "ALWAYS"),
    Case("stale-udp", "client", "svc/statsd", "NEVER", "SVC_NO_ENDPOINTS", "ALWAYS"),
    Case("role-db", "frontend", "svc/db", "ALWAYS", None, ""),
    Case("role-db", "batch", "svc/db", "NEVER", "NETPOL_INGRESS", "ALWAYS"),
    Case("role-db", "staging/frontend", "svc/db", "NEVER", "NETPOL_INGRESS", "ALWAYS"),
    Case("security-groups", "ext/laptop", "203.0.113.20:30080", "NEVER", "SG_DENY", "ALWAYS"),
    Case("security-groups", "ext/laptop", "203.0.113.30:30080", "NEVER", "NACL_DENY", "ALWAYS"),
    Case("security-groups", "node/private", "192.0.2.80:443", "NEVER", "VPC_NO_ROUTE", "ALWAYS"),
    Case("security-groups", "ext/laptop", "node/public:30080", "NEVER", "VPC_NO_PUBLIC_ADDRESS", "ALWAYS"),
    Case("vxlan-checksum-offload", "client", "svc/web", "NEVER", "UDP_CSUM", "ALWAYS"),
    Case("reply-by-the-other-card", "ext/laptop", "10.9.0.11:30080", "NEVER", "IP_RPFILTER", "ALWAYS"),
    Case("tunnel-filtered", "client", "svc/web", "NEVER", "UNDERLAY_FILTER", "ALWAYS"),
    Case("wrong-underlay-interface", "client", "svc/web", "NEVER", "TUNNEL_TO_ITSELF", "ALWAYS"),
    Case("service-leads-nowhere", "client", "svc/no-endpoints", "NEVER", "SVC_NO_ENDPOINTS", "ALWAYS"),
    Case("service-leads-nowhere", "client", "svc/wrong-selector", "NEVER", "SVC_NO_ENDPOINTS", "ALWAYS"),
    Case("service-leads-nowhere", "client", "svc/wrong-port-name", "NEVER", "SVC_NO_ENDPOINTS", "ALWAYS"),
    Case("service-leads-nowhere", "client", "svc/wrong-targetport", "NEVER", "NO_SOCKET", "ALWAYS"),
    Case(
        "service-leads-nowhere",
        "client",
        "wbe.default:80",
        "NEVER",
        "DNS_NXDOMAIN",
        "ALWAYS",
    ),
    Case("source-dest-check", "client", "web:8080", "NEVER", "SRC_DST_CHECK", "ALWAYS"),
]


@cache
def cluster_of(name: str) -> lab.Cluster:
    """Return the cluster of a file, which questions leave as it is."""
    found = lab.load(str(FOLDER / f"{name}.yaml"))
    assert isinstance(found, lab.Cluster)
    return found


@cache
def flow_of(
    name: str,
    source: str,
    target: str,
    payload: int = 0,
    races: bool = False,  # noqa: FBT001, FBT002 - as above
    beside: str = "",
) -> Flow:
    """Return a question that is asked once."""
    return cluster_of(name).flow(source, target, payload=payload, races=races, beside=beside)


def first_line(path: Path, words: list[str]) -> str:
    """Return how the answer to `emu trace` begins; of a cluster that was there before, if it is no URL's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-f", dest="file")
    parser.add_argument("--payload", type=int, default=0)
    parser.add_argument("--races", action="store_true")
    parser.add_argument("--beside", default="")
    parser.add_argument("ends", nargs=2)
    asked = parser.parse_args(words[1:])
    assert asked.file == f"topologies/failures/{path.name}"
    source, target = asked.ends
    if target.startswith("http"):
        words = [str(path) if each == asked.file else each for each in words]
        return CliRunner().invoke(cli, words).stdout.splitlines()[0]
    flow = flow_of(path.stem, source, target, asked.payload, asked.races, asked.beside)
    return flow.explain().splitlines()[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_that_a_file_expects_comes_true(path: Path) -> None:
    """`emu test` ends with 0, and there was something to expect."""
    result = CliRunner().invoke(cli, ["test", str(path)])
    assert result.exit_code == 0, result.output
    assert "PASS  " in result.output


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}: {case.source} {case.target}")
def test_the_failure_has_its_code_and_its_fix_turns_the_verdict(case: Case) -> None:
    """The fix that a trace shows, done to another copy of the cluster, gives the other answer there."""
    flow = flow_of(case.name, case.source, case.target, case.payload, case.races, case.beside)
    assert (flow.verdict.word.value, flow.reason) == (case.verdict, case.code)
    fix = flow.fix
    assert (fix is not None) == bool(case.fixed)
    if fix is None:
        return
    asked = fix.question
    healthy = fix.apply(cluster_of(case.name).again())
    assert isinstance(healthy, lab.Cluster)
    after = healthy.flow(
        case.source if asked is None else asked.source,
        case.target if asked is None else asked.target,
        payload=case.payload,
        races=case.races,
        beside=case.beside,
    )
    assert after.verdict.word.value == case.fixed


@pytest.mark.parametrize(("path", "command", "line"), TOLD)
def test_the_comment_of_a_file_says_what_emu_says(path: Path, command: str, line: str) -> None:
    """The first line of a trace is that below the command."""
    assert first_line(path, shlex.split(command)) == line


@pytest.mark.parametrize("words", COMMANDS)
def test_what_a_comment_says_can_be_typed(
    words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each other command ends well."""
    (tmp_path / "topologies").symlink_to(FOLDER.parent)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, shlex.split(words))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_tells_its_symptom_and_how_to_see_it(path: Path) -> None:
    """The comment at its head has both, and the list of all of them names it."""
    head = path.read_text().partition("\napiVersion:")[0]
    assert "# Symptom: " in head
    assert f"#   $ emu trace -f topologies/failures/{path.name} " in head
    assert f"#   $ emu test -f topologies/failures/{path.name}" in head
    assert f"[{path.stem}]({path.name})" in (FOLDER / "README.md").read_text()


def test_all_files_are_asked() -> None:
    """The table above forgets none."""
    assert {case.name for case in CASES} == {path.stem for path in FILES}


def test_a_node_puts_its_address_in_the_place_of_the_clients() -> None:
    """The server sees node worker-1; with externalTrafficPolicy: Local, and asked by itself, the client."""
    sources = {}
    for target in ("node/worker-1:30080", "node/worker-2:30081", "web:8080"):
        (outcome,) = flow_of("client-address-lost", "ext/laptop", target).verdict.outcomes
        assert outcome.arrival is not None
        sources[target] = str(outcome.arrival.source)
    assert sources == {
        "node/worker-1:30080": "172.18.0.3",
        "node/worker-2:30081": "198.51.100.7",
        "web:8080": "198.51.100.7",
    }
    told = " ".join(flow_of("client-address-lost", "ext/laptop", "node/worker-1:30080").explain().split())
    assert "default/web sees 172.18.0.3 of node/worker-1, not 198.51.100.7: Service default/web" in told


@pytest.mark.parametrize(("name", "asked", "absent"), [("api.example.com", 8, 6), ("api.example.com.", 2, 0)])
def test_a_short_name_takes_as_many_questions_as_there_are_suffixes(
    name: str, asked: int, absent: int
) -> None:
    """A and AAAA for three search domains of the cluster, and for the name itself; a dot spares those."""
    words = ["capture", "-f", str(FOLDER / "ndots.yaml"), "-i", "client/eth0", "udp port 53"]
    result = CliRunner().invoke(cli, [*words, "--", "exec", "client", "--", "curl", "-sS", f"http://{name}"])
    assert result.exit_code == 0, result.output
    packets = [line for line in result.output.splitlines() if line.startswith("eth0@default/client")]
    assert sum(" out " in packet for packet in packets) == asked
    assert sum("NXDomain" in packet for packet in packets) == absent
    assert len(packets) == 2 * asked


def test_a_syn_that_a_card_spoils_is_sent_for_a_minute() -> None:
    """After about 1, 3, 7, 15, 31 and 63 seconds, each time a little later; then curl gives up."""
    cluster = lab.load(str(FOLDER / "vxlan-checksum-offload.yaml"))
    assert isinstance(cluster, lab.Cluster)
    client = cluster.pod("client")
    with cluster.capture("default/client/eth0", condition="tcp[13] == 2") as recorded:
        assert client.execute(["curl", "-sS", "-m", "130", "http://10.244.2.3:8080"]).status == 28
    times = [frame.time_ns for frame in recorded.capture.frames]
    assert [round((time - times[0]) / 10**9) for time in times] == [0, 1, 3, 7, 15, 32, 65]


def test_clients_behind_one_address_are_one_client() -> None:
    """Whoever comes first decides for all, by session affinity; without it three pods share the work."""
    served = {}
    for target in ("svc/web", "svc/spread"):
        for source in ("ext/alice", "ext/bob"):
            outcomes = flow_of("affinity-behind-nat", source, target).verdict.outcomes
            served[source, target] = {one.arrival.pod for one in outcomes if one.arrival is not None}
    assert served["ext/alice", "svc/web"] == served["ext/bob", "svc/web"]
    assert len(served["ext/bob", "svc/web"]) == 1
    assert len(served["ext/alice", "svc/spread"]) == len(served["ext/bob", "svc/spread"]) == 3
