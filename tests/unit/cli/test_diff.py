# SPDX-License-Identifier: GPL-2.0-only
"""`emu diff` from the command line: what is compared with what, what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli

SHOP = """\
{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}], network: {provider: kindnet}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}},
 spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, labels: {app: db}},
 spec: {containers: [{name: c, image: i, ports: [{containerPort: 5432}]}]}}
"""
DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}
"""
LOST = "default/web -> default/db:5432/TCP"
NETWORK = Path(__file__).parents[3] / "topologies" / "two-pods-on-a-bridge.yaml"
HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "what-would-change.md"
PAIR = ("--from", "default/*", "--to", "default/*")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a folder with a shop, the same with a policy, and the policy alone."""
    (tmp_path / "a.yaml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(f"{SHOP}---\n{DENY}", encoding="utf-8")
    (tmp_path / "deny.yaml").write_text(DENY, encoding="utf-8")
    (tmp_path / "node.yaml").write_text("{apiVersion: v1, kind: Node, metadata: {name: x}}", encoding="utf-8")
    (tmp_path / "net.yaml").write_bytes(NETWORK.read_bytes())
    return tmp_path


def diff(folder: Path, *words: str, stdin: str = "", environment: dict[str, str] | None = None) -> Result:
    """Run the verb; words that end in .yaml are files of the folder."""
    found = [str(folder / word) if word.endswith(".yaml") else word for word in words]
    return CliRunner().invoke(cli, ["diff", *PAIR, *found], input=stdin, env=environment or {})


class TestWhatIsCompared:
    """Two inputs, or one and a change."""

    @pytest.mark.parametrize(
        "words",
        [
            ("a.yaml", "b.yaml"),
            ("-f", "a.yaml", "--with", "b.yaml"),
            ("-f", "a.yaml", "b.yaml"),
            ("-f", "a.yaml", "-f", "b.yaml"),
            ("-f", "a.yaml", "--apply", "deny.yaml"),
            ("a.yaml", "--apply", "deny.yaml"),
        ],
        ids=" ".join,
    )
    def test_the_policy_cuts_a_flow(self, shop: Path, words: tuple[str, ...]) -> None:
        """However the second cluster is named."""
        result = diff(shop, *words, "--only-changes")
        assert result.exit_code == 0, result.stderr
        lines = result.stdout.splitlines()
        assert lines[0].split() == ["FLOW", "BEFORE", "AFTER", "CAUSE"]
        assert len(lines) == 2
        assert lines[1].startswith(f"{LOST}  ALWAYS  NEVER  NETPOL_INGRESS NetworkPolicy default/deny")

    def test_a_setting_changes_the_cluster(self, shop: Path) -> None:
        """The policy is there on both sides, and one side enforces it."""
        result = diff(
            shop, "-f", "b.yaml", "--set", "network.provider=flannel", "-o", "json", "--only-changes"
        )
        (flow,) = json.loads(result.stdout)["flows"]
        assert (flow["before"]["reason"], flow["after"]["verdict"]) == ("NETPOL_INGRESS", "ALWAYS")
        assert flow["cause"].startswith("no longer NETPOL_INGRESS NetworkPolicy default/deny")

    def test_settings_and_manifests_go_together(self, shop: Path) -> None:
        """The manifests are applied to the cluster with the setting."""
        result = diff(
            shop, "a.yaml", "--set", "network.policy=none", "--apply", "deny.yaml", "--only-changes"
        )
        assert result.stdout == ""
        assert "No flow of 2 changes" in result.stderr

    def test_standard_input_is_read_once(self, shop: Path) -> None:
        """Both clusters are made of it."""
        result = diff(shop, "-f", "-", "--set", "network.policy=none", stdin=f"{SHOP}---\n{DENY}")
        assert result.exit_code == 0
        assert "1 of 2 flows changes" in result.stderr

    def test_the_environment_is_the_first_input(self, shop: Path) -> None:
        """Unless two are named."""
        usual = {"EMU_TOPOLOGY": str(shop / "b.yaml")}
        assert "No flow" in diff(shop, "a.yaml", "a.yaml", environment=usual).stderr
        assert "1 of 2" in diff(shop, "a.yaml", environment=usual).stderr

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ((), "Missing option '-f'"),
            (("-f", "a.yaml"), "compared with what?"),
            (("-f", "a.yaml", "-f", "a.yaml", "-f", "b.yaml"), "compared with what?"),
            (("a.yaml", "b.yaml", "--apply", "deny.yaml"), "a second one is too much"),
            (("a.yaml", "b.yaml", "b.yaml"), "two inputs are compared"),
            (("a.yaml", "--apply", "node.yaml"), "takes objects of Kubernetes but Nodes"),
            (("a.yaml", "--apply", "a.yaml"), "takes objects of Kubernetes but Nodes"),
            (("a.yaml", "net.yaml"), "this verb needs clusters"),
            (("a.yaml", "--set", "network.provder=flannel"), "did you mean 'provider'?"),
            (("a.yaml", "b.yaml", "--max-questions", "1"), "raise --max-questions"),
            (("a.yaml", "--apply", "none.yaml"), "none.yaml"),
        ],
        ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
    )
    def test_what_is_not_clear_is_refused(self, shop: Path, words: tuple[str, ...], says: str) -> None:
        """With status 2, and nothing on standard output."""
        result = diff(shop, *words, environment={"EMU_TOPOLOGY": ""})
        assert result.exit_code == 2
        assert says in result.stderr
        assert result.stdout == ""


class TestOutput:
    """The table, Markdown, JSON."""

    def test_all_flows_are_told_and_changes_come_first(self, shop: Path) -> None:
        """What stays is part of the answer."""
        lines = diff(shop, "a.yaml", "b.yaml").stdout.splitlines()
        assert [line.split("  ")[0] for line in lines] == ["FLOW", LOST, "default/db -> default/web:80/TCP"]

    def test_markdown_is_a_comment_for_a_review(self, shop: Path) -> None:
        """A headline and a table."""
        result = diff(shop, "a.yaml", "b.yaml", "-o", "md")
        assert result.stdout.startswith("**1 of 2 flows changes**\n\n| flow |")

    def test_json_says_what_changed(self, shop: Path) -> None:
        """Each flow has both answers."""
        found = json.loads(diff(shop, "a.yaml", "b.yaml", "-o", "json").stdout)
        assert (found["changed"], found["questions"]) == (1, 4)
        assert [(each["from"], each["to"], each["changed"]) for each in found["flows"]] == [
            ("pod/default/web", "pod/default/db:5432/TCP", True),
            ("pod/default/db", "pod/default/web:80/TCP", False),
        ]

    def test_json_says_how_servers_see_the_client(self, shop: Path) -> None:
        """Both kinds, and that it is a change; a gate closes by it."""
        service = "{apiVersion: v1, kind: Service, metadata: {name: s}, "
        service += "spec: {ports: [{port: 80}], selector: {app: web}}}"
        (shop / "a.yaml").write_text(f"{SHOP}---\n{service}", encoding="utf-8")
        result = diff(
            shop,
            "a.yaml",
            *("--set", "kubeProxy.mode=userspace", "-o", "json", "--only-changes", "--exit-code"),
            *("--to", "svc/default/s"),
        )
        assert result.exit_code == 1
        flows = [each for each in json.loads(result.stdout)["flows"] if each["to"] == "svc/default/s:80/TCP"]
        assert [(each["before"]["seen_as"], each["after"]["seen_as"], each["cause"]) for each in flows] == [
            (["client"], ["gateway"], "source: client -> gateway")
        ]

    def test_nobody_is_called_so(self, shop: Path) -> None:
        """Whoever gates a pipeline by it must not take that for no difference."""
        result = CliRunner().invoke(
            cli, ["diff", "--from", "x/*", str(shop / "a.yaml"), str(shop / "b.yaml"), "--exit-code"]
        )
        assert result.exit_code == 2
        assert "nobody there is called so" in result.stderr

    @pytest.mark.parametrize(("second", "status"), [("a.yaml", 0), ("b.yaml", 1)])
    def test_the_exit_status_tells_changes_if_asked_to(self, shop: Path, second: str, status: int) -> None:
        """A gate of a pipeline."""
        assert diff(shop, "a.yaml", second, "--exit-code").exit_code == status
        assert diff(shop, "a.yaml", second).exit_code == 0

    def test_a_terminal_has_a_progress_bar(self, shop: Path) -> None:
        """On standard error, and only there."""
        above, below = pty.openpty()
        words = [sys.executable, "-m", "emu", "diff", str(shop / "a.yaml"), str(shop / "b.yaml"), *PAIR]
        finished = subprocess.run(words, stdout=subprocess.PIPE, stderr=below, check=True, timeout=60)
        os.close(below)
        told = os.read(above, 1 << 16)
        os.close(above)
        assert b"asking" in told
        assert b"asking" not in finished.stdout


def test_the_how_to_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands, run on its files, have its output."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for language, words in blocks:
        if language == "yaml":
            Path(words.partition("\n")[0].removeprefix("# ")).write_text(words, encoding="utf-8")
    shown = [words.partition("\n") for language, words in blocks if not language]
    told = [(command, output) for command, _, output in shown if output]
    assert len(told) == 4
    for command, output in told:
        result = CliRunner().invoke(cli, shlex.split(command.removeprefix("$ emu ")))
        assert result.stdout == output, command


POD = "---\n{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: i}]}}\n"


@pytest.mark.parametrize(
    ("pods", "lacks"),
    [
        ("", "neither input has pods; name manifests with each, too: emu diff -f A -f shop.yaml --with B"),
        (POD, "no pod has a network"),
    ],
)
def test_inputs_without_flows_are_told_what_they_lack(tmp_path: Path, pods: str, lacks: str) -> None:
    """In the place of an empty table; nothing was asked, so all that was asked is answered."""
    for name in ("none", "iptables"):
        spec = f"{{network: {{provider: none, policy: {name}}}}}"
        (tmp_path / name).write_text(f"{{apiVersion: emu/v1, kind: Cluster, spec: {spec}}}\n{pods}")
    result = CliRunner().invoke(cli, ["diff", str(tmp_path / "none"), str(tmp_path / "iptables")])
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"there are no flows: {lacks}" in result.stderr


def test_with_a_payload_a_small_link_shows(shop: Path) -> None:
    """A handshake fits through it, and data do not."""
    two = SHOP.replace("[{name: n1}]", "[{name: n1}, {name: n2}]")
    for node, app in (("n1", "web"), ("n2", "db")):
        two = two.replace(f"{app}}}}},\n spec: {{", f"{app}}}}},\n spec: {{nodeName: {node}, ")
    link = "{apiVersion: emu/v1, kind: Fabric, spec: {links: [{endpoints: [n2, underlay], mtu: 1400}]}}"
    (shop / "a.yaml").write_text(two, encoding="utf-8")
    (shop / "b.yaml").write_text(f"{two}---\n{link}\n", encoding="utf-8")
    assert LOST not in diff(shop, "a.yaml", "b.yaml", "--only-changes").stdout
    found = diff(shop, "a.yaml", "b.yaml", "--only-changes", "--payload", "3000").stdout
    assert re.search(f"{LOST} +ALWAYS +NEVER +PMTU_BLACKHOLE", found), found
