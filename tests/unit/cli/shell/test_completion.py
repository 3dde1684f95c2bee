# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from emu.cli.shell.completion import candidates
from emu.cli.shell.terminal import Words, typed

if TYPE_CHECKING:
    from tests.unit.cli.shell.conftest import Talk


class TestCandidates:
    """What may stand at a place, of what there is."""

    @pytest.mark.parametrize(
        ("words", "begun", "expected"),
        [
            ([], "ping", ["pingall"]),
            ([], "pod", ["pod1", "pod2"]),
            (["pod1"], "trace", ["traceroute"]),
            (["pod1", "ping"], "pod", ["pod1", "pod2"]),
            (["trace"], "pod2", ["pod2"]),
            (["at", "5s"], "pingall", ["pingall"]),
            (["explain"], "NO_SOCK", ["NO_SOCKET"]),
        ],
    )
    def test_in_a_network(self, network: Talk, words: list[str], begun: str, expected: list[str]) -> None:
        """Words, namespaces, programs, codes."""
        assert candidates(network.session, words, begun) == expected

    def test_in_a_cluster(self, cluster: Talk) -> None:
        """Nodes where nodes are meant, workloads where those are, Services to ask."""
        session = cluster.session
        assert candidates(session, ["fail"], "node/w") == ["node/worker-1", "node/worker-2"]
        assert candidates(session, ["scale"], "dep") == ["deploy/kube-system/coredns", "deploy/web"]
        assert candidates(session, ["trace", "client"], "svc/w") == ["svc/web"]

    @pytest.mark.parametrize(
        ("words", "begun", "expected"),
        [
            (["record", "-i"], "client", ["client/eth0"]),
            (["record", "-w", "x.pcapng", "-i"], "node/worker-1/e", ["node/worker-1/eth0"]),
            (["capture", "-i"], "an", ["any"]),
            (["send", "-i"], "switch/", ["switch/underlay/br0", "switch/underlay/port1"]),
            (["record", "-i"], "svc", []),
            (["record"], "", ["-i", "-w", "stop"]),
            (["record", "-w"], "", []),
        ],
    )
    def test_where_a_device_is_meant(
        self, cluster: Talk, words: list[str], begun: str, expected: list[str]
    ) -> None:
        """Devices and their owners, and nothing that has none; each can be looked at."""
        found = candidates(cluster.session, words, begun)
        assert found[: len(expected)] == expected
        assert bool(found) is bool(expected)
        for each in found if words[-1] == "-i" else ():
            assert cluster.session.emulation.points(cluster.session.emulation.point(each, "default"))


class TestTerminal:
    """Lines that somebody types."""

    def test_are_remembered(self, network: Talk) -> None:
        """Each is in the history; Ctrl-C takes one back, and Ctrl-D ends all."""
        history = InMemoryHistory()
        with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
            keys.send_text("pingall\nnever mind\x03net\n\x04")
            assert list(typed(network.session, history)) == ["pingall", "net"]
        assert history.get_strings() == ["pingall", "net"]

    @pytest.mark.parametrize(
        ("line", "expected"),
        [("pinga", ["pingall "]), ("net; pod1 ping pod", ["pod1", "pod2"]), ("zz", []), ("net", ["net "])],
    )
    def test_words_are_completed(self, network: Talk, line: str, expected: list[str]) -> None:
        """The word before the cursor, in its statement; behind the only one is room for the next."""
        found = Words(network.session).get_completions(Document(line), CompleteEvent())
        assert [each.text for each in found] == expected
