# SPDX-License-Identifier: GPL-2.0-only
"""ipsets of the real kernel beside ours: recorded transcripts, and random sets.

`python tests/kernel/test_ipset_on_linux.py FILE...` (as root) writes down anew what
ipset answers to the commands in the files.
"""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # when it is run as a program

from emu.apps.commands import execute
from emu.errors import CommandError
from emu.kernel.link.dummy import Dummy
from emu.kernel.namespace import Namespace
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.ipset.lookup import Direction
from emu.kernel.netfilter.ipset.types import TYPES
from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.packet import Packet
from emu.kernel.netfilter.targets.set import SetTarget
from emu.kernel.skb import Skb
from emu.sim.choice import DrawnChoice
from emu.tools.iptables.extensions import of_type
from emu.wire.addresses import MacAddress
from tests.kernel.ipset_drawing import BUILT_IN, Drawing
from tests.kernel.linux import namespace
from tests.unit.apps.commands.ipset_recording import FOLDER, Answered, Asked, normal, replay

if TYPE_CHECKING:
    from collections.abc import Sequence


def record(transcript: str) -> str:
    """Return `transcript` with what ipset answers to its commands."""
    with namespace() as name:

        def answer(asked: Asked) -> Answered:
            done = subprocess.run(
                ["ip", "netns", "exec", name, *asked.argv],
                input=asked.file,
                capture_output=True,
                text=True,
                check=False,
            )
            return Answered(done.stdout + done.stderr, done.returncode)

        return replay(transcript, answer)


@pytest.mark.kernel
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_ipset_still_says_what_was_recorded(name: str) -> None:
    """Running a transcript's commands on this machine gives the recorded answers.

    Under a random key two elements may fall into one bucket, and the set takes less memory: it has two tries.
    """
    transcript = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert record(transcript) == transcript or record(transcript).splitlines() == transcript.splitlines()


def _ask(name: str, commands: Sequence[Sequence[str]]) -> list[int]:
    """Return the exit statuses of `ipset` commands, all run by one shell."""
    script = "".join(f"{shlex.join(['ipset', '-q', *command])} >/dev/null; echo $?\n" for command in commands)
    done = subprocess.run(
        ["ip", "netns", "exec", name, "sh"], input=script, capture_output=True, text=True, check=True
    )
    return [int(line) for line in done.stdout.split()]


def _ours(net: Namespace, commands: Sequence[Sequence[str]]) -> list[int]:
    statuses = []
    for command in commands:
        try:
            execute(net, ["ipset", "-q", *command])
        except CommandError as error:
            statuses.append(error.status)
        else:
            statuses.append(0)
    return statuses


def _sizeless(saved: str) -> list[str]:
    """Return the lines of what was saved without the buckets of hashes, which grow in Linux."""
    return [re.sub(r"hashsize \d+", "hashsize 1024", line) for line in normal(saved)]


def _net() -> Namespace:
    return Namespace("node", random=random.Random(1), choice=DrawnChoice(random.Random(2)))


@pytest.mark.kernel
@pytest.mark.parametrize("kind", BUILT_IN)
def test_random_commands_have_the_same_effect(kind: str) -> None:
    """Each is accepted or refused as by Linux, tests say the same, and what is saved in the end is equal."""
    net = _net()
    with namespace() as name:
        commands: list[list[str]] = []
        for number in range(6):
            drawing = Drawing(number)
            commands.append(["create", f"s{number}", kind, *drawing.spec(TYPES[kind])])
            commands += [drawing.step(TYPES[kind], f"s{number}") for _ in range(80)]
        theirs = _ask(name, commands)
        ours = _ours(net, commands)
        differing = [pair for pair in zip(commands, theirs, ours, strict=True) if pair[1] != pair[2]]
        assert differing == []
        saved = subprocess.run(
            ["ip", "netns", "exec", name, "ipset", "save"], capture_output=True, text=True, check=True
        )
        assert _sizeless(execute(net, ["ipset", "save"])) == _sizeless(saved.stdout)
        tests = sum(command[0] == "test" for command in commands)
        assert tests >= 100


@pytest.mark.kernel
@pytest.mark.parametrize("kind", BUILT_IN)
def test_rules_find_packets_in_sets_as_linux_does(kind: str) -> None:
    """Random packets through rules that ask random sets: the same rules count them."""
    drawing = Drawing(8)
    net = _net()
    device = net.add_device("d0", Dummy(), MacAddress(bytes(6)), mtu=1500)
    commands: list[list[str]] = []
    rules: list[tuple[str, SetMatch]] = []
    for number in range(12):
        called = f"s{number}"
        commands.append(["create", called, kind, *drawing.spec(TYPES[kind])])
        steps = (drawing.step(TYPES[kind], called) for _ in range(drawing.random.choice((1, 4, 20))))
        commands += [step for step in steps if "test" not in step]
        ends = tuple(drawing.random.choices(list(Direction), k=len(TYPES[kind].parts)))
        match = SetMatch(
            called,
            ends,
            inverted=drawing.random.random() < 0.2,
            return_nomatch=drawing.random.random() < 0.2,
        )
        rules.append((f"-A OUTPUT -m set {of_type(SetMatch).render(match)}", match))
    packets = [drawing.packet() for _ in range(60)]
    assert 0 in _ours(net, commands)
    ours = [
        [match.holds(Packet(net, Skb(octets, 1), Hook.OUTPUT, out_device=device)) for _, match in rules]
        for octets in packets
    ]
    hits = [holds is not match.inverted for row in ours for holds, (_, match) in zip(row, rules, strict=True)]
    assert {True, False} == set(hits)
    with namespace() as name:
        _ask(name, commands)
        theirs = _counted(name, [rule for rule, _ in rules], packets)
    assert ours == theirs


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(8))
def test_rules_change_sets_as_linux_does(seed: int) -> None:
    """Random rules that add to sets, delete from them and count in them leave equal sets behind.

    Among the sets is a list of two others.
    """
    drawing = Drawing(seed)
    kinds = [TYPES[drawing.random.choice(BUILT_IN)] for _ in range(5)]
    commands: list[list[str]] = []
    for number, kind in enumerate(kinds):
        commands.append(["create", f"s{number}", kind.name, *drawing.spec(kind), "-exist"])
        steps = [drawing.step(kind, f"s{number}") for _ in range(6)]
        commands += [step for step in steps if "test" not in step]
    commands.append(["create", "all", "list:set", *drawing.random.choice(([], ["counters"]))])
    commands += [["add", "all", f"s{number}"] for number in (2, 0)]
    net = _net()
    device = net.add_device("d0", Dummy(), MacAddress(bytes(6)), mtu=1500)
    _ours(net, commands)
    rules = [drawing.rule(["all", *(f"s{number}" for number in range(5))]) for _ in range(12)]
    packets = [drawing.packet() for _ in range(40)]
    for octets in packets:
        packet = Packet(net, Skb(octets, 1), Hook.OUTPUT, out_device=device)
        for rule in rules:
            if isinstance(rule, SetTarget):
                rule.apply(packet)
            else:
                rule.holds(packet)
    texts = [f"{'-j SET' if isinstance(rule, SetTarget) else '-m set'} {_rule_text(rule)}" for rule in rules]
    with namespace() as name:
        _ask(name, commands)
        _counted(name, [f"-A OUTPUT {text}" for text in texts], packets)
        saved = subprocess.run(
            ["ip", "netns", "exec", name, "ipset", "save"], capture_output=True, text=True, check=True
        )
    assert _sizeless(execute(net, ["ipset", "save"])) == _sizeless(saved.stdout)


def _rule_text(rule: SetMatch | SetTarget) -> str:
    return of_type(type(rule)).render(rule)


_SENDER: Final = """
import socket, subprocess, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for line in sys.stdin.read().split():
    packet = bytes.fromhex(line)
    subprocess.run(["iptables", "-Z"], check=True)
    sender.sendto(packet, (".".join(map(str, packet[16:20])), 0))
    saved = subprocess.run(["iptables-save", "-c"], check=True, capture_output=True, text=True).stdout
    print(*(rule.partition(":")[0][1:] for rule in saved.splitlines() if "-A OUTPUT" in rule))
"""


_CABLE: Final = (
    "ip link add d0 type veth peer name d1",
    "ip link set d0 up arp off",
    "ip link set d1 up",
    "ip addr add 10.9.9.9/32 dev d0",
    "ip route add 10.0.0.0/16 dev d0",
)


def _counted(name: str, rules: Sequence[str], packets: Sequence[bytes]) -> list[list[bool]]:
    """Return which of the `rules` counted which packet that the namespace `name` sent."""
    inside = ["ip", "netns", "exec", name]
    for command in _CABLE:
        subprocess.run([*inside, *command.split()], check=True)
    text = "\n".join(["*filter", *rules, "COMMIT", ""])
    subprocess.run([*inside, "iptables-restore"], input=text, text=True, check=True)
    done = subprocess.run(
        [*inside, sys.executable, "-c", _SENDER],
        input="\n".join(octets.hex() for octets in packets),
        capture_output=True,
        text=True,
        check=True,
    )
    return [[count == "1" for count in line.split()] for line in done.stdout.splitlines()]


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(record(file.read_text(encoding="utf-8")), encoding="utf-8")
