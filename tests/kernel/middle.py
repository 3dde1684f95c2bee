# SPDX-License-Identifier: GPL-2.0-only
"""The real kernel as a node in the middle: packets pass from both sides, and its table is read.

A rule marks each packet that leaves with what it was (`--ctstate`) in its TOS,
so many packets of many connections can be sent at once.
"""

from __future__ import annotations

import ctypes
import re
import select
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.kernel.linux import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TOS: Final = {"INVALID": 0x04, "NEW": 0x08, "ESTABLISHED": 0x10, "RELATED": 0x20}
_NAMES: Final = {tos: name for name, tos in _TOS.items()}
_MACS: Final = {">": "02:00:00:00:01:02", "<": "02:00:00:00:02:02"}
_NODE: Final = {">": "02:00:00:00:01:01", "<": "02:00:00:00:02:01"}
_DEVICES: Final = {">": "client", "<": "server"}
_NEW_NETWORK: Final = 0x40000000
_PATIENCE: Final = 0.3  # s; what was not forwarded by then was dropped
_PACKET_OUTGOING: Final = 4
_FORCED_BUFFER: Final = 33  # SO_RCVBUFFORCE
_LINE: Final = re.compile(
    r"^(?P<protocol>\S+)\s+\d+ (?P<left>\d+) (?:(?P<state>[A-Z_\d]+) )?src=(?P<src>\S+) (?P<rest>.*)$"
)


class Entry(NamedTuple):
    """A line of `conntrack -L`: its state, whose packet began it, flags, counters, seconds left."""

    state: str
    src: str
    flags: frozenset[str]
    packets: tuple[int, ...]
    left: int


class LinuxMiddle:
    """See above; packets are whole IP packets."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sockets: dict[str, socket.socket] = {}

    def build(self, sysctls: Mapping[str, object]) -> None:
        """Make the devices and rules in the namespaces, which are there."""
        node, hosts = self._name, f"{self._name}-hosts"
        for number, (way, device) in enumerate(_DEVICES.items(), start=1):
            _run(["ip", "-n", hosts, "link", "add", device, "address", _MACS[way], "type", "veth",
                  "peer", "name", device, "address", _NODE[way], "netns", node])  # fmt: skip
            for netns in (hosts, node):
                _inside(netns, ["sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1"])
                _run(["ip", "-n", netns, "link", "set", device, "up"])
            _run(["ip", "-n", node, "addr", "add", f"10.0.{number}.1/24", "dev", device])
            _run(["ip", "-n", node, "neigh", "add", f"10.0.{number}.2", "lladdr", _MACS[way], "dev", device])
        _inside(node, ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.netfilter.nf_conntrack_acct=1"])
        for state, tos in _TOS.items():
            words = ["-m", "conntrack", "--ctstate", state, "-j", "TOS", "--set-tos", f"{tos:#x}"]
            _inside(node, ["iptables", "-t", "mangle", "-A", "FORWARD", *words])
        for name, value in sysctls.items():
            _inside(node, ["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}={value}"])
        self._sockets = _open(hosts)

    def close(self) -> None:
        """Close the sockets."""
        for opened in self._sockets.values():
            opened.close()

    def flush(self) -> None:
        """Forget all connections."""
        _inside(self._name, ["conntrack", "-F"])

    def see(self, packets: Sequence[tuple[str, bytes]]) -> list[str]:
        """Send packets from one side each (`>`: from the client), and return what each was, or `DROP`.

        No two of them may have the same identification.
        """
        expected = {octets[4:6]: index for index, (_, octets) in enumerate(packets)}
        verdicts = ["DROP"] * len(packets)
        for way, octets in packets:
            frame = bytes.fromhex((_NODE[way] + _MACS[way]).replace(":", "")) + b"\x08\x00" + octets
            self._sockets[way].send(frame)
        deadline = time.monotonic() + _PATIENCE
        while expected and time.monotonic() < deadline:
            ready, _, _ = select.select(list(self._sockets.values()), [], [], deadline - time.monotonic())
            for opened in ready:
                frame, address = opened.recvfrom(65535)
                index = expected.get(frame[18:20]) if address[2] != _PACKET_OUTGOING else None
                if index is not None:
                    del expected[frame[18:20]]
                    verdicts[index] = _NAMES.get(frame[15], "UNMARKED")
        return verdicts

    def listing(self) -> str:
        """Return what `conntrack -L` prints."""
        return _inside(self._name, ["conntrack", "-L"])

    def entries(self) -> dict[int, Entry]:
        """Return the table, by the client's port."""
        found = {}
        for line in self.listing().splitlines():
            match = _LINE.match(line)
            assert match, line
            port = next(int(word) for word in re.findall(r"port=(\d+)", line) if int(word) >= 20000)
            flags = frozenset(re.findall(r"\[(\w+)\]", line))
            packets = tuple(map(int, re.findall(r"packets=(\d+)", line)))
            found[port] = Entry(match["state"] or "", match["src"], flags, packets, int(match["left"]))
        return found


@contextmanager
def linux_middle(**sysctls: object) -> Iterator[LinuxMiddle]:
    """Make a node; the words are settings below `net.netfilter.nf_conntrack_`."""
    with namespace() as node, namespace(f"{node}-hosts"), closing(LinuxMiddle(node)) as middle:
        middle.build(sysctls)
        yield middle


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def _inside(name: str, argv: Sequence[str]) -> str:
    return _run(["ip", "netns", "exec", name, *argv])


def _open(name: str) -> dict[str, socket.socket]:
    """Return a packet socket on each device of namespace `name`."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as here, Path(f"/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), _NEW_NETWORK) == 0
        try:
            opened = {}
            for way, device in _DEVICES.items():
                one = opened[way] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
                one.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, 8 << 20)
                one.bind((device, 0x0800))
            return opened
        finally:
            assert libc.setns(here.fileno(), _NEW_NETWORK) == 0
