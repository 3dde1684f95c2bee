# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emu import __version__
from emu.cli import VERBS, cli

ROOT = Path(__file__).parents[3]
LAB = "topologies/two-pods-on-a-bridge.yaml"
READS_A_DOCUMENT = {
    "run": ["run"],
    "exec": ["exec", "pod1", "hostname", "-f"],
    "capture": ["capture", "-f"],
    "send": ["send", "-i", "pod1/eth0", "--frame", "00" * 60, "-f"],
    "trace": ["trace", "pod1", "pod2", "-f"],
}
"""How each verb that reads a document is called; the document's name follows."""


def emu(*arguments: str, **environment: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, arguments, env=environment)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as people do."""
    return subprocess.run(
        [sys.executable, "-m", "emu", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, `emu` being the command line, and failures of its parts not being lost."""
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; emu() {{ "$PYTHON" -m emu "$@"; }}; {script}'],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class TestHelp:
    """What is there, and how to call it."""

    def test_lists_every_verb_with_what_it_does(self) -> None:
        """One line for each, in the order of their use."""
        listed = emu("--help").stdout.partition("Verbs:\n")[2].splitlines()
        assert [line.split()[0] for line in listed] == list(VERBS)
        assert all(line.endswith(".") for line in listed)

    @pytest.mark.parametrize("verb", VERBS)
    def test_each_verb_explains_its_options(self, verb: str) -> None:
        """Options without a word about them help nobody."""
        result = emu(verb, "--help")
        assert result.exit_code == 0
        assert "Usage: " in result.stdout
        options = result.stdout.partition("Options:\n")[2]
        assert "--help" in options
        assert all(line.strip() for line in options.splitlines())

    def test_version_is_told(self) -> None:
        """The package's own."""
        assert emu("--version").stdout == f"emu, version {__version__}\n"

    def test_help_loads_nothing_heavy(self) -> None:
        """Neither Scapy nor YAML nor a network stack."""
        heavy = {"scapy", "yaml", "emu.kernel", "emu.cluster", "cattrs", "rich"}
        script = (
            "import sys; from emu.cli import cli; cli.main(['--help'], standalone_mode=False);"
            f"print(sorted({heavy} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"

    def test_unknown_verb_is_wrong_input(self) -> None:
        """It is named."""
        result = emu("prob")
        assert result.exit_code == 2
        assert "prob" in result.stderr


class TestDocument:
    """All verbs read documents in the same way."""

    @pytest.fixture(params=READS_A_DOCUMENT)
    def call(self, request: pytest.FixtureRequest) -> list[str]:
        """A call that wants a document's name."""
        words = READS_A_DOCUMENT[request.param]
        if request.param == "exec":
            return ["exec", "-f"]
        return words

    @staticmethod
    def _called(call: list[str], document: str) -> list[str]:
        behind = {"exec": ["pod1", "--", "hostname"], "capture": ["--", "pod1", "hostname"]}
        return [*call, document, *behind.get(call[0], [])]

    def test_faults_are_all_told_and_nothing_else(self, call: list[str], tmp_path: Path) -> None:
        """On standard error, a line each, with file, line and place; status 2."""
        document = tmp_path / "lab.yaml"
        document.write_text("namespaces: {pod1: }\nlinks: 5\ncaptures: [pod1/eth0]\ncolour: red\n")
        result = emu(*self._called(call, str(document)))
        assert result.exit_code == 2
        assert result.stdout == ""
        assert [line.removeprefix(str(document)) for line in result.stderr.splitlines()] == [
            ":2: $.links: must be a list, not 5",
            ":3: $.captures[0]: pod1 has no interface 'eth0'",
            ":4: $.colour: unknown key",
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, ":1: $: cannot be read: No such file or directory"),
            (b"", ":1: $: holds no document"),
            (b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe", ":1: $: is not UTF-8 text"),
            (b"a: [1\n", ":2: $: is no YAML: "),
            (b"- a\n- b\n", ":1: $: must be an object, with apiVersion and kind"),
        ],
    )
    def test_what_is_no_document_is_refused(
        self, call: list[str], content: bytes | None, message: str, tmp_path: Path
    ) -> None:
        """Missing, empty, binary, broken, or something else."""
        document = tmp_path / "lab.yaml"
        if content is not None:
            document.write_bytes(content)
        result = emu(*self._called(call, str(document)))
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"{document}{message}")

    def test_an_empty_folder_is_no_document(self, call: list[str], tmp_path: Path) -> None:
        """It is told what was looked for."""
        result = emu(*self._called(call, str(tmp_path)))
        assert result.exit_code == 2
        assert result.stderr.startswith(f"{tmp_path}:1: $: holds no .yaml, .yml or .json file")

    def test_an_empty_name_is_no_document(self, call: list[str]) -> None:
        """An unset variable of a script does not mean the current folder."""
        result = emu(*self._called(call, ""))
        assert result.exit_code == 2
        assert "a file name has one letter at least" in result.stderr

    @pytest.mark.parametrize("seed", ["abc", "1.5", ""])
    def test_a_seed_is_a_whole_number(self, call: list[str], seed: str) -> None:
        """Nothing else is guessed from it."""
        result = emu(call[0], "--seed", seed, *self._called(call, LAB)[1:])
        assert result.exit_code == 2
        assert f"'{seed}' is not a valid integer" in result.stderr


class TestManifest:
    """Whatever stands beside a low-level network is one cluster."""

    def test_all_faults_are_told_with_their_places(self, tmp_path: Path) -> None:
        """As an API server would say, for each document of the stream."""
        document = tmp_path / "web.yaml"
        document.write_text(
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 70000}]}\n"
            "---\napiVersion: v1\nkind: Pod\nmetadata: {name: Web}\nspec: {containers: []}\n"
        )
        result = emu("run", str(document))
        assert result.exit_code == 2
        lines = [line.removeprefix(f"{document}:") for line in result.stderr.splitlines()]
        assert [line.partition(": ")[0] for line in lines] == ["4", "8", "9"]
        assert "$.spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535" in lines[0]

    def test_an_empty_list_is_an_empty_cluster(self, tmp_path: Path) -> None:
        """What `kubectl get -o json` prints of nothing has the default nodes."""
        document = tmp_path / "pods.json"
        document.write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
        result = emu("run", str(document))
        assert result.exit_code == 0
        assert result.stdout.startswith("emu: 3 nodes, 2 pods, 2 Services")


class TestFilename:
    """`-f`, or the environment."""

    def test_the_environment_names_the_document(self, tmp_path: Path) -> None:
        """Spaces in its name are part of it."""
        document = tmp_path / "my lab.yaml"
        document.write_text("namespaces: {a: }\ncaptures: []\n")
        result = emu("exec", "a", "--", "hostname", EMU_TOPOLOGY=str(document))
        assert (result.exit_code, result.stderr) == (0, "")

    def test_the_option_goes_before_the_environment(self) -> None:
        """As with every option."""
        result = emu("exec", "-f", "nowhere.yaml", "a", "--", "hostname", EMU_TOPOLOGY=LAB)
        assert result.stderr.startswith("nowhere.yaml:1: $: cannot be read")

    def test_a_second_document_is_refused(self) -> None:
        """It is not taken instead of the first one."""
        result = emu("exec", "-f", LAB, "-f", LAB, "pod1", "--", "hostname")
        assert result.exit_code == 2
        assert "name it alone" in result.stderr

    def test_there_has_to_be_one(self) -> None:
        """The missing option is named."""
        result = emu("exec", "pod1", "--", "hostname")
        assert result.exit_code == 2
        assert "Missing option '-f' / '--filename'" in result.stderr


class TestSettingsWithoutEffect:
    """Sysctls that can be set, but that the stack does not obey."""

    DOCUMENT = """
namespaces:
  b: {sysctls: {net.ipv4.tcp_ecn: 0}}
  a: {sysctls: {net.ipv4.tcp_ecn: 0, net.ipv4.ip_forward: 1, net.ipv4.tcp_fastopen: 3}}
links:
- {a: {ns: a, if: eth0, mac: 02:00:00:00:00:01}, b: {ns: b, if: eth0, mac: 02:00:00:00:00:02}}
captures: []
"""

    @pytest.mark.parametrize(
        "words",
        [
            ["run", "FILE"],
            ["exec", "-f", "FILE", "a", "--", "hostname"],
            ["capture", "-f", "FILE", "--", "a", "hostname"],
            ["send", "-f", "FILE", "-i", "a/eth0", "--frame", "00" * 60],
        ],
    )
    def test_are_told_by_name_once(self, words: list[str], tmp_path: Path) -> None:
        """However many namespaces have them; those that are obeyed are not."""
        document = tmp_path / "lab.yaml"
        document.write_text(self.DOCUMENT)
        result = emu(*[str(document) if word == "FILE" else word for word in words])
        assert result.exit_code == 0
        told = [line for line in result.stderr.splitlines() if "not modelled" in line]
        assert told == ["not modelled, so without effect: net.ipv4.tcp_ecn, net.ipv4.tcp_fastopen"]

    def test_are_told_when_a_command_sets_them(self) -> None:
        """Also in the last moment."""
        result = emu("exec", "-f", LAB, "pod1", "--", "sysctl", "-w", "net.ipv4.tcp_ecn=0")
        assert result.stdout == "net.ipv4.tcp_ecn = 0\n"
        assert result.stderr == "not modelled, so without effect: net.ipv4.tcp_ecn\n"

    def test_are_none_where_nobody_asked_for_any(self) -> None:
        """What the format sets by itself is no news."""
        assert emu("run", LAB).stderr == ""


class TestProcess:
    """The real thing, with real standard streams."""

    def test_data_and_messages_are_apart(self, tmp_path: Path) -> None:
        """What went wrong is told on standard error and by the status."""
        document = tmp_path / "lab.yaml"
        document.write_text(
            "{name: lab, namespaces: {a: }, captures: [],"
            " actions: [{ping: {ns: a, dst: 127.0.0.1, expect: timeout}}]}"
        )
        done = process("run", str(document))
        assert done.returncode == 1
        assert done.stdout.startswith("lab\n")
        assert "NOT AS EXPECTED" in done.stdout
        assert done.stderr == "not as expected: action 0 (ping, line 1): expected timeout, got reply\n"

    @pytest.mark.parametrize(
        ("words", "status"),
        [
            (["--help"], 0),
            (["run", LAB], 0),
            (["run", "nowhere.yaml"], 2),
            (["run"], 2),
            (["exec", "-f", LAB, "pod1", "--", "nothing"], 127),
            (["exec", "-f", LAB, "pod1", "--", "ping", "-c", "1", "10.244.1.77"], 1),
        ],
    )
    def test_statuses_are_those_of_the_contract(self, words: list[str], status: int) -> None:
        """And nothing ends in a traceback."""
        done = process(*words)
        assert done.returncode == status
        assert "Traceback" not in done.stderr

    def test_a_reader_that_goes_is_left_in_peace(self) -> None:
        """Without a word, and with the status of a tool that SIGPIPE ended."""
        running = subprocess.Popen(
            [sys.executable, "-m", "emu", "exec", "-f", LAB, "pod1", "ping", "-c3000", "-i0.1", "10.244.1.3"],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": ""},  # else Python may not notice that the pipe broke
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert running.stdout is not None
        assert running.stderr is not None
        with running.stdout, running.stderr:
            assert running.stdout.readline().startswith(b"PING 10.244.1.3")
            running.stdout.close()
            assert running.stderr.read() == b""
        assert running.wait(timeout=60) == 128 + signal.SIGPIPE

    @pytest.mark.parametrize(
        "words", [f"run {LAB}", "--help", "run nowhere.yaml", f"trace -f {LAB} pod1 pod2"]
    )
    def test_output_goes_through_head(self, words: str) -> None:
        """A line of it is all that is seen, and no complaint of ours."""
        done = shell(f"emu {words} 2>&1 | head -1")
        assert len(done.stdout.splitlines()) == 1
        assert done.stderr == ""

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    @pytest.mark.parametrize("words", [f"run {LAB}", f"run {LAB} -w -", f"exec -f {LAB} pod1 -- hostname -I"])
    def test_output_that_cannot_be_written_is_told(self, words: str) -> None:
        """A full disk is no success."""
        done = shell(f"emu {words} >/dev/full")
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == "standard output: No space left on device"
        assert "Traceback" not in done.stderr

    def test_closed_output_is_no_failure(self) -> None:
        """Who closes it wants the status alone."""
        done = shell(f"emu run {LAB} >&-")
        assert (done.returncode, done.stderr) == (0, "")

    def test_letters_that_the_terminal_lacks_are_written_as_escapes(self, tmp_path: Path) -> None:
        """Rather than not at all."""
        document = tmp_path / "lab.yaml"
        document.write_text("{title: Größe, namespaces: {a: }, captures: []}", encoding="utf-8")
        done = process("run", str(document), PYTHONIOENCODING="cp1251")
        assert done.returncode == 0
        assert done.stdout.splitlines()[0] == rf"{document}: Gr\xf6\xdfe"

    def test_an_interrupt_ends_it_quietly(self) -> None:
        """With the status of a program that SIGINT ended."""
        running = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "emu",
                "exec",
                "-f",
                LAB,
                "pod1",
                "ping",
                "-c99999",
                "-i0.03",
                "10.244.1.3",
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1.5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out, err.strip()) == (130, "", "")
