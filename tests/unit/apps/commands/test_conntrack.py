# SPDX-License-Identifier: GPL-2.0-only
"""`conntrack` in a namespace: what it shows, and what it does to the table."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from emu.apps import commands
from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.errors import CommandError
from emu.tools.conntrack import reading

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from tests.unit.apps.commands.conftest import Machines

_TESTS: Final = Path(__file__).parents[3]
_SAMPLES: Final = _TESTS / "unit" / "tools" / "conntrack" / "samples"
_SCENARIOS: Final = _TESTS / "golden" / "scenarios"
_PROGRAM: Final = "conntrack v1.4.7 (conntrack-tools)"


def fill(machines: Machines) -> list[str]:
    """Enter the recorded table into the node, and return its lines."""
    text = (_SAMPLES / "table.txt").read_text(encoding="utf-8").partition("\n")[2]
    machines.fabric.call(machines.net(), partial(_enter, text=text))
    return text.splitlines()


def _enter(net: Namespace, text: str) -> None:
    for entry in reading.parse(text):
        table = net.netfilter.conntrack
        connection = table.begin(entry.original, entry.reply, zones=entry.zones)
        read = entry.connection(connection.number, net.now)
        for name in ("status", "mark", "tracker", "timeout"):
            setattr(connection, name, getattr(read, name))
        assert table.confirm(connection, net.now) is None


def refusal(machines: Machines, command: str) -> str:
    """Return what a command says on standard error that fails with status 1."""
    with pytest.raises(CommandError) as caught:
        machines.run(command)
    assert caught.value.status == 1
    return str(caught.value)


class TestListing:
    """`-L`, `-G`, `-C`, `-S`."""

    def test_the_table_is_shown_in_the_order_in_which_it_grew(self, machines: Machines) -> None:
        """Line by line as the tool prints it."""
        lines = fill(machines)
        assert machines.run("conntrack -L").splitlines() == lines
        assert machines.run("conntrack -L -o extended").splitlines() == [
            f"ipv4     2 {line}" for line in lines
        ]

    def test_an_empty_table_shows_nothing(self, machines: Machines) -> None:
        """The remark is on standard error."""
        assert machines.run("conntrack -L") == ""
        assert machines.run("conntrack -C") == "0\n"

    @pytest.mark.parametrize("table", ["expect", "dying", "unconfirmed"])
    def test_the_other_tables_are_empty(self, machines: Machines, table: str) -> None:
        """There are no expectations."""
        fill(machines)
        assert machines.run(f"conntrack -L {table}") == ""

    def test_counters_are_shown_if_they_are_kept(self, machines: Machines) -> None:
        """`nf_conntrack_acct`; `-z` sets them to zero."""
        fill(machines)
        machines.run("sysctl -qw net.netfilter.nf_conntrack_acct=1")
        list(machines.net().netfilter.conntrack)[3].packets[0] = 5
        assert " id=77 packets=5 bytes=0 [UNREPLIED]" in machines.run("conntrack -L -z")
        assert " id=77 packets=0 bytes=0 [UNREPLIED]" in machines.run("conntrack -L -p icmp")

    def test_one_is_shown(self, machines: Machines) -> None:
        """`-G` needs all that names it, and counts as a user of it."""
        fill(machines)
        shown = machines.run("conntrack -G -p tcp -s 1.2.3.4 -d 5.6.7.8 --sport 10 --dport 20")
        assert shown.startswith("tcp      6 99 ESTABLISHED src=1.2.3.4")
        assert shown.endswith(" use=2\n")
        missing = refusal(machines, "conntrack -G -p tcp -s 1.2.3.4 -d 5.6.7.8 --sport 10 --dport 21")
        assert missing == f"{_PROGRAM}: Operation failed: such conntrack doesn't exist"

    def test_entries_and_events_are_counted(self, machines: Machines) -> None:
        """`-C` and `-S`."""
        fill(machines)
        machines.net().netfilter.conntrack.stats["invalid"] = 3
        assert machines.run("conntrack -C") == "12\n"
        assert machines.run("conntrack -C expect") == "0\n"
        assert machines.run("conntrack -S").startswith("cpu=0   \tfound=0 invalid=3 insert=")
        assert machines.run("conntrack -S expect").startswith("cpu=0   \texpect_new=0")

    def test_the_version_is_told(self, machines: Machines) -> None:
        """`-V`, and help without any argument."""
        assert machines.run("conntrack -V") == f"{_PROGRAM}\n"
        assert machines.run("conntrack") == machines.run("conntrack -h")


class TestChanging:
    """`-D`, `-F`, `-U`."""

    def test_what_is_meant_is_deleted_and_shown(self, machines: Machines) -> None:
        """The others stay."""
        lines = fill(machines)
        assert machines.run("conntrack -D -p udp").splitlines() == [lines[2], lines[5]]
        assert machines.run("conntrack -C") == "10\n"

    def test_nothing_to_delete_is_a_failure(self, machines: Machines) -> None:
        """Status 1, so that scripts can tell."""
        assert refusal(machines, "conntrack -D -p udp") == f"{_PROGRAM}: 0 flow entries have been deleted."

    def test_all_is_flushed(self, machines: Machines) -> None:
        """Without a word; expectations are another table."""
        fill(machines)
        assert machines.run("conntrack -F expect") == ""
        assert machines.run("conntrack -C") == "12\n"
        assert machines.run("conntrack -F") == ""
        assert machines.run("conntrack -C") == "0\n"

    def test_marks_are_set_under_their_mask(self, machines: Machines) -> None:
        """What is changed is shown."""
        fill(machines)
        shown = machines.run("conntrack -U -f ipv4 -p udp -m 0x10/0xf0")
        assert re.findall(r"mark=\d+", shown) == ["mark=21", "mark=16"]

    def test_times_and_status_are_set(self, machines: Machines) -> None:
        """In seconds, and bits by name."""
        fill(machines)
        shown = machines.run("conntrack -U -s 1.2.3.4 -p sctp -t 1000 -u ASSURED,SEEN_REPLY")
        assert shown.startswith("sctp     132 1000 ESTABLISHED")
        assert " [ASSURED] " in shown

    def test_nothing_to_change_is_a_failure(self, machines: Machines) -> None:
        """A mark that is set already changes nothing."""
        fill(machines)
        nothing = f"{_PROGRAM}: 0 flow entries have been updated."
        assert refusal(machines, "conntrack -U -f ipv4 -p tcp -m 0") == nothing
        assert refusal(machines, "conntrack -U") == nothing

    def test_without_a_family_nothing_is_changed(self, machines: Machines) -> None:
        """The kernel does not know what is meant."""
        fill(machines)
        failed = "Operation failed: Operation not supported"
        assert refusal(machines, "conntrack -U -p udp -m 1") == f"{failed}\n{_PROGRAM}: {failed}"


class TestEvents:
    """`-E`."""

    def test_the_first_listens_and_later_ones_tell(self, machines: Machines) -> None:
        """The first says that nothing was kept, others all since, oldest first; `-e` and filters choose."""
        with pytest.raises(CommandError, match="was not kept: a further -E") as caught:
            machines.run("conntrack -E")
        assert (caught.value.status, caught.value.stdout) == (0, "")
        assert machines.run("conntrack -E") == ""
        lines = fill(machines)
        machines.run("conntrack -U -f ipv4 -p icmp -m 9")
        machines.run("conntrack -D -p icmp")
        told = machines.run("conntrack -E").splitlines()
        assert len(told) == len(lines) + 2
        assert told[1].startswith("    [NEW] tcp      6 99 ESTABLISHED src=1.2.3.4 dst=5.6.7.8 sport=10")
        assert [line[:9] for line in machines.run("conntrack -E -p icmp").splitlines()] == [
            "    [NEW]",
            " [UPDATE]",
            "[DESTROY]",
        ]
        assert machines.run("conntrack -E -p icmp -e UPDATES").endswith(" mark=9\n")


def test_a_run_leaves_the_table_that_linux_has() -> None:
    """After a recorded scenario the node's table reads as the recorded one, the time left aside."""
    run = NetworkRun(load_network(_SCENARIOS / "conntrack-tcp-states" / "scenario.yaml"))
    run.run()
    net = run.fabric.namespace("node1")
    shown = run.fabric.call(net, partial(commands.execute, argv=["conntrack", "-L", "-o", "extended"]))
    recorded = _SCENARIOS / "conntrack-tcp-states" / "golden" / "raw" / "end.node1.conntrack.txt"
    assert _without_time(shown) == _without_time(recorded.read_text(encoding="utf-8"))


def test_a_connection_tells_its_story() -> None:
    """The events of a connection that is opened and closed are those that Linux tells."""
    run = NetworkRun(load_network(_SCENARIOS / "conntrack-tcp-states" / "scenario.yaml"))
    net = run.fabric.namespace("node1")
    net.netfilter.conntrack.listening = True
    run.run()
    told = run.fabric.call(
        net, partial(commands.execute, argv=["conntrack", "-E", "-p", "tcp", "--sport", "40001"])
    )
    assert [
        line.partition(" src=")[0] + line[line.index("dport=40001") + 11 :] for line in told.splitlines()
    ] == [
        "    [NEW] tcp      6 120 SYN_SENT",
        " [UPDATE] tcp      6 60 SYN_RECV",
        " [UPDATE] tcp      6 432000 ESTABLISHED [ASSURED]",
        " [UPDATE] tcp      6 120 FIN_WAIT [ASSURED]",
        " [UPDATE] tcp      6 60 CLOSE_WAIT [ASSURED]",
        " [UPDATE] tcp      6 30 LAST_ACK [ASSURED]",
        " [UPDATE] tcp      6 120 TIME_WAIT [ASSURED]",
    ]


def test_a_refused_connection_has_two_events() -> None:
    """It begins, and a RST is its end, which is counted; the time left is that of its beginning."""
    run = NetworkRun(load_network(_SCENARIOS / "conntrack-tcp-states" / "scenario.yaml"))
    net = run.fabric.namespace("node1")
    net.sysctl.set("net.netfilter.nf_conntrack_acct", 1)
    net.netfilter.conntrack.listening = True
    run.run()
    argv = ["conntrack", "-E", "-p", "tcp", "--sport", "40003"]
    began, ended = run.fabric.call(net, partial(commands.execute, argv=argv)).splitlines()
    assert began.startswith("    [NEW] tcp      6 120 SYN_SENT src=")
    assert ended.startswith("[DESTROY] tcp      6 120 CLOSE src=")
    assert re.findall(r"packets=(\d+) bytes=(\d+)", ended) == [("1", "52"), ("1", "40")]
    assert "[UNREPLIED]" in ended


def _without_time(text: str) -> list[str]:
    return sorted(re.sub(r" 6 \d+ ", " 6 ", line) for line in text.splitlines())
