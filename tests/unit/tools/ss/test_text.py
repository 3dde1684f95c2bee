# SPDX-License-Identifier: GPL-2.0-only
"""`ss` of iproute2 6.1.0, asked about the same sockets in many ways.

`samples/ss/NAME.txt` has the outputs; the sockets stand here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from emu.errors import CommandError
from emu.kernel.tcp.states import State
from emu.sim.time import MILLISECOND
from emu.tools.ss.arguments import parse
from emu.tools.ss.line import SocketLine
from emu.tools.ss.text import render
from emu.wire.addresses import IpAddress

FOLDER: Final = Path(__file__).parent.parent / "samples" / "ss"


def line(
    netid: str,
    state: State,
    recv_q: int,
    send_q: int,
    local: str,
    remote: str,
    timer: tuple[str, int] | None = None,
) -> SocketLine:
    """Return the line of a socket; `timer` is a name and milliseconds."""
    (own, _, port), (peer, _, peer_port) = local.rpartition(":"), remote.rpartition(":")
    return SocketLine(
        netid,
        state,
        recv_q,
        send_q,
        IpAddress.parse(own),
        int(port),
        IpAddress.parse(peer),
        int(peer_port),
        None if timer is None else (timer[0], timer[1] * MILLISECOND, 0),
    )


S: Final = State
NOBODY: Final = "0.0.0.0:0"
SOCKETS: Final = {
    "pod1": [
        line("raw", S.CLOSED, 0, 0, "0.0.0.0:1", NOBODY),
        line("udp", S.ESTABLISHED, 0, 0, "10.244.1.2:40006", "10.244.1.3:53"),
        line("udp", S.CLOSED, 0, 0, "0.0.0.0:40007", NOBODY),
        line("tcp", S.SYN_SENT, 0, 1, "10.244.1.2:40008", "10.244.1.77:80", ("on", 628)),
        line("tcp", S.ESTABLISHED, 0, 0, "10.244.1.2:40001", "10.244.1.3:80"),
        line("tcp", S.ESTABLISHED, 0, 0, "10.244.1.2:40002", "10.244.1.3:80"),
        line("tcp", S.TIME_WAIT, 0, 0, "10.244.1.2:40003", "10.244.1.3:80", ("timewait", 59_321)),
        line("tcp", S.FIN_WAIT_2, 0, 0, "10.244.1.2:40004", "10.244.1.3:80"),
        line("tcp", S.ESTABLISHED, 0, 0, "10.244.1.2:40005", "10.244.1.3:8080"),
    ],
    "pod2": [
        line("udp", S.CLOSED, 832, 0, "0.0.0.0:53", NOBODY),
        line("udp", S.CLOSED, 0, 0, "10.244.1.3:8472", NOBODY),
        line("tcp", S.LISTEN, 1, 5, "0.0.0.0:8080", NOBODY),
        line("tcp", S.LISTEN, 0, 5, "10.244.1.3:443", NOBODY),
        line("tcp", S.LISTEN, 0, 4096, "127.0.0.1:9000", NOBODY),
        line("tcp", S.LISTEN, 0, 128, "0.0.0.0:80", NOBODY),
        line("tcp", S.ESTABLISHED, 0, 0, "10.244.1.3:80", "10.244.1.2:40001"),
        line("tcp", S.ESTABLISHED, 100, 0, "10.244.1.3:80", "10.244.1.2:40002"),
        line("tcp", S.CLOSE_WAIT, 1, 0, "10.244.1.3:80", "10.244.1.2:40004"),
        line("tcp", S.ESTABLISHED, 0, 0, "10.244.1.3:8080", "10.244.1.2:40005"),
    ],
}


def recorded() -> list[tuple[str, str, str]]:
    """Return the folder's samples: whose sockets, the command, the output."""
    samples = []
    for file in sorted(FOLDER.glob("*.txt")):
        for part in file.read_text(encoding="utf-8").split("$ ")[1:]:
            command, _, output = part.partition("\n")
            samples.append((file.stem, command, output))
    return samples


def shown(name: str, command: str) -> str:
    """Return what we print of the sockets of `name`."""
    request = parse(command.split()[1:])
    return render([one for one in SOCKETS[name] if request.wants(one)], request)


@pytest.mark.parametrize(("name", "command", "output"), recorded())
def test_columns_are_those_of_ss(name: str, command: str, output: str) -> None:
    """Widths, alignment, names of ports, timers and filters agree letter by letter."""
    assert shown(name, command) == output


@pytest.mark.parametrize(
    ("milliseconds", "shown_as"),
    [
        (0, ""),
        (7, "007ms"),
        (200, "200ms"),
        (1000, "1sec"),
        (1500, "1.500ms"),
        (12_345, "12sec"),
        (61_000, "1min1sec"),
        (90_500, "1min30sec"),
        (600_000, "10min"),
        (661_000, "11min"),
    ],
)
def test_the_longer_a_timer_has_to_run_the_coarser_it_is_shown(milliseconds: int, shown_as: str) -> None:
    """Milliseconds below ten seconds, seconds below ten minutes."""
    one = line("tcp", S.ESTABLISHED, 0, 0, "10.0.0.1:1", "10.0.0.2:2", ("keepalive", milliseconds))
    request = parse(["-Htano"])
    assert render([one], request).split("timer:")[1].strip() == f"(keepalive,{shown_as},0)"


def test_sockets_of_ipv6_are_none() -> None:
    """`-6` lists nothing but the titles; with `-4` beside it all are back."""
    assert not any(parse(["-6a"]).wants(one) for one in SOCKETS["pod1"])
    assert all(parse(["-46a"]).wants(one) for one in SOCKETS["pod1"])


@pytest.mark.parametrize(
    ("expression", "ports"),
    [
        ("sport > 9000 and sport != 8472", []),
        ("sport >= :8472 and dport = :0", [8472, 9000]),
        ("sport < 53", []),
        ("not ( dport > 0 or sport lt 443 )", [8472, 8080, 443, 9000]),
        ("src 127.0.0.0/8", [9000]),
        ("src 10.244.1.3:443", [443]),
        ("src :443", [443]),
        ("dst 10.244.1.2:40001", [80]),
        ("dst 10.244.1.2 sport = :8080", [8080]),
        ("src 127.0.0.1 or src = 10.244.1.3:8472", [8472, 9000]),
    ],
)
def test_filters_join_conditions_of_addresses_and_ports(expression: str, ports: list[int]) -> None:
    """`and` may be left out; `not`, `or` and parentheses are as in `ss`."""
    request = parse(["-a", *expression.split()])
    assert [one.local_port for one in SOCKETS["pod2"] if request.wants(one)] == ports


@pytest.mark.parametrize(
    ("words", "states"),
    [
        ("state connected exclude established", {S.SYN_SENT, S.TIME_WAIT, S.FIN_WAIT_2}),
        ("exclude connected", {S.CLOSED}),
        ("state bucket", {S.TIME_WAIT}),
        ("state syn-sent state time-wait", {S.SYN_SENT, S.TIME_WAIT}),
    ],
)
def test_states_may_be_named_in_groups(words: str, states: set[State]) -> None:
    """`state` adds, `exclude` takes away."""
    request = parse(words.split())
    assert {one.state for one in SOCKETS["pod1"] if request.wants(one)} == states


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-tan state nosuch", "ss: wrong state name: nosuch"),
        ("-y", "ss: invalid option -- 'y'"),
        ("--nosuch", "ss: unrecognized option '--nosuch'"),
        ("-ti", "ss -i is not modelled"),
        ("--summary", "ss -s is not modelled"),
        ("-t sport = http", "Error: an inet prefix is expected rather than 'http'."),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, message: str) -> None:
    """Options that `ss` has and we do not are named."""
    with pytest.raises(CommandError) as caught:
        parse(words.split())
    assert str(caught.value) == message


@pytest.mark.parametrize("words", ["foo", "sport = 1 )", "( sport = 1", "not", "sport = 1 and"])
def test_an_expression_that_does_not_parse_is_refused(words: str) -> None:
    """Nothing that was not understood filters anything."""
    with pytest.raises(CommandError):
        parse(words.split())
