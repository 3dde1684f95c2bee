# SPDX-License-Identifier: GPL-2.0-only
"""A case in the real kernel: one router for all cases of a kind, its rules and connections replaced for each.

The kernel handles a frame while it is sent, on the processor that sends it, and
one queue a processor carries it from device to device. So this process stays
on one processor, and frames that nobody minds follow each packet: when they
have arrived, so has all that went before.
"""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import re
import select
import socket
import struct
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.kernel.linux import built
from tests.kernel.verdicts.case import RUN
from tests.kernel.verdicts.outcome import Connection, Count, Outcome, state_lines
from tests.kernel.verdicts.script import Answer, Complaint, Local, Pause, Seen, Send, frame_of
from tests.kernel.verdicts.tables import BLANK
from tests.kernel.verdicts.topology import DEVICES, ECHO_PORT, ENDS, MACS, ROUTER, ROUTER_MACS, document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kernel.verdicts.case import Case
    from tests.kernel.verdicts.script import Step

_RUNS: Final = itertools.count()
_NEW_NETWORK: Final = 0x40000000
_ALL: Final = 3
_MARKER: Final = 0x88B5
_PRIMER: Final = b"\xff" * 6
_PRIMER_TYPE: Final = b"\x88\xb6"
_PACKET: Final = 263
_IGNORE_OUTGOING: Final = 23
_ETHTOOL: Final = 0x8946
_OFFLOADS: Final = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)  # RXCSUM TXCSUM SG TSO GSO GRO
_ROUNDS: Final = 6  # devices that a packet passes at most, one behind the other
_PATIENCE: Final = 5  # s, for a marker to arrive and for sets to be let go
_ECHO: Final = b"echo"
_TABLE: Final = re.compile(r"^\*(\S+)$")
_POLICY: Final = re.compile(r"^:(\S+) (\S+) \[(\d+):(\d+)\]$")
_RULE: Final = re.compile(r"^\[(\d+):(\d+)\] -A (\S+)")
_FIELDS: Final = ("src", "dst", "sport", "dport", "type", "code", "id")


class LinuxRouter:
    """See above."""

    def __init__(self, node: str, ends: str) -> None:
        self._node = node
        with _inside(ends):
            for end in MACS:
                _without_offloads(end)
            self._ends = {end: _packet_socket(end, _ALL) for end in MACS}
        with _inside(node):
            for device in (*DEVICES.values(), "br0"):
                _without_offloads(device)
            self._marker = _packet_socket(DEVICES["left"], _MARKER)
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            self._echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._echo.bind(("", ECHO_PORT))
            self._echo.setblocking(False)
        self._usual: dict[str, str] = {}

    def close(self) -> None:
        """Close all sockets."""
        for opened in (*self._ends.values(), self._marker, self._raw, self._echo):
            opened.close()

    @property
    def has_fragments(self) -> bool:
        """Whether fragments wait for others: when they are given up, that would be told amid another case."""
        with _inside(self._node):
            return "FRAG: inuse 0" not in Path("/proc/net/sockstat").read_text()

    def play(self, case: Case) -> Outcome:
        """Load the rules of `case` and take its steps."""
        with _inside(self._node):
            self._prepare(case)
        for end in ("low", "high"):
            self._ends[end].send(_PRIMER + bytes(MACS[end]) + _PRIMER_TYPE)
        self._settle()
        self._drain()
        steps: list[tuple[Seen, ...]] = []
        events: list[tuple[str, ...]] = []
        for step in case.steps:
            happened = self._take(step, steps)
            self._settle()
            happened += self._answer()
            steps.append(self._drain())
            events.append(tuple(happened))
        with _inside(self._node):
            return Outcome(tuple(steps), tuple(events), *self._read(case))

    # --- before and after ---

    def _prepare(self, case: Case) -> None:
        for name, value in self._usual.items():
            _sysctl(name).write_text(value)
        self._usual = {name: _sysctl(name).read_text() for name in case.sysctls}
        for name, number in case.sysctls.items():
            _sysctl(name).write_text(str(number))
        if case.backend == "nft":
            _run(["nft", "flush", "ruleset"])
        if case.ipsets:
            if case.backend == "legacy":
                _run(["iptables-legacy-restore"], BLANK)
            _destroy_ipsets()
            _run(["ipset", "restore"], case.ipsets)
        _sysctl("net.ipv4.route.flush").write_text("1")
        rules = case.rules.replace(RUN, str(next(_RUNS)))
        _run(["nft", "-f", "-"] if case.nft else [f"iptables-{case.backend}-restore"], rules)
        _run(["conntrack", "-F"])
        with suppress(BlockingIOError):
            while True:
                self._echo.recv(65535)

    def _read(
        self, case: Case
    ) -> tuple[dict[tuple[str, str, int], Count], tuple[Connection, ...], tuple[str, ...]]:
        counts = {} if case.nft else dict(_counts(_run([f"iptables-{case.backend}-save", "-c"])))
        if case.backend == "nft":  # which has no counters of policies
            counts = {place: count for place, count in counts.items() if place[2]}
        listed = _run(["conntrack", "-L", "-o", "extended"])
        texts = [_run(["nft", "list", "ruleset"])] if case.nft else []
        texts += [_run(["ipset", "save"])] if case.ipsets else []
        return counts, tuple(map(_connection, listed.splitlines())), state_lines(texts)

    # --- packets ---

    def _take(self, step: Step, steps: Sequence[tuple[Seen, ...]]) -> list[str]:
        if isinstance(step, Answer | Complaint):
            made = frame_of(step, steps[step.to])
            if made is None:
                return ["nothing to answer"]
            step = made
        if isinstance(step, Send):
            self._ends[step.end].send(step.octets)
        elif isinstance(step, Pause):
            time.sleep(step.seconds)
        elif isinstance(step, Local):
            try:
                self._raw.sendto(step.packet, (socket.inet_ntoa(step.packet[16:20]), 0))
            except OSError as error:
                return [f"errno {error.errno}"]
        return []

    def _answer(self) -> list[str]:
        found: list[str] = []
        while True:
            try:
                data, (address, port) = self._echo.recvfrom(65535)
            except BlockingIOError:
                return found
            except OSError as error:
                found.append(f"errno {error.errno}")
                continue
            found.append(f"{data.hex()} from {address}")
            try:
                self._echo.sendto(_ECHO + data, (address, port))
            except OSError as error:
                found.append(f"errno {error.errno}")
            self._settle()

    def _settle(self) -> None:
        """Wait until all that was sent has passed."""
        frame = bytes(ROUTER_MACS["left"]) + bytes(MACS["left"]) + _MARKER.to_bytes(2, "big")
        for _ in range(_ROUNDS):
            self._ends["left"].send(frame)
            ready, _, _ = select.select([self._marker], [], [], _PATIENCE)
            assert ready, "a marker was lost"
            self._marker.recv(100)

    def _drain(self) -> tuple[Seen, ...]:
        found: list[Seen] = []
        for end in sorted(self._ends):
            with suppress(BlockingIOError):
                while True:
                    octets = self._ends[end].recv(65535, socket.MSG_DONTWAIT)
                    if octets[12:14] != _PRIMER_TYPE:
                        found.append(Seen(end, octets))
        return tuple(found)


class LinuxRouters:
    """A router for each kind of rules: tables of one variant stay where they were used once."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._routers: dict[str, LinuxRouter] = {}

    def play(self, case: Case) -> Outcome:
        """Play `case` to the router of its kind."""
        router = self._routers.get(case.backend)
        if router is None or router.has_fragments:
            router = self._routers[case.backend] = self._stack.enter_context(_router())
        return router.play(case)


@contextmanager
def linux_routers() -> Iterator[LinuxRouters]:
    """Return routers that are built when they are needed, and taken away in the end."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with ExitStack() as stack:
            yield LinuxRouters(stack)
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def _router() -> Iterator[LinuxRouter]:
    with built(document()) as lab:
        router = LinuxRouter(lab.netns(ROUTER), lab.netns(ENDS))
        try:
            yield router
        finally:
            router.close()


# --- namespaces and devices ---

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """Be in the network namespace `name`, and so are the processes started there."""
    with Path("/proc/thread-self/ns/net").open() as here, Path(f"/run/netns/{name}").open() as there:
        assert _LIBC.setns(there.fileno(), _NEW_NETWORK) == 0
        try:
            yield
        finally:
            assert _LIBC.setns(here.fileno(), _NEW_NETWORK) == 0


def _run(argv: Sequence[str], text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}\n{text}"
    return done.stdout


def _destroy_ipsets() -> None:
    """Destroy all sets; rules that are gone may hold them a little longer."""
    _run(["ipset", "flush"])
    deadline = time.monotonic() + _PATIENCE
    while subprocess.run(["ipset", "destroy"], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, "sets are still in use"
        time.sleep(0.005)


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def _packet_socket(device: str, protocol: int) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(_PACKET, _IGNORE_OUTGOING, 1)
    opened.bind((device, protocol))
    return opened


def _without_offloads(device: str) -> None:
    """Have checksums and segments made by the kernel, as they shall be seen on the cable."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value)).ljust(40, b"\0")
            with suppress(OSError):  # not every device has every one
                fcntl.ioctl(control, _ETHTOOL, request)


# --- what tools print ---


def _counts(text: str) -> Iterator[tuple[tuple[str, str, int], Count]]:
    table = ""
    numbers: dict[str, int] = {}
    for line in text.splitlines():
        if match := _TABLE.match(line):
            table, numbers = match[1], {}
        elif match := _POLICY.match(line):
            if match[2] != "-":
                yield (table, match[1], 0), Count(int(match[3]), int(match[4]))
        elif match := _RULE.match(line):
            chain = match[3]
            numbers[chain] = numbers.get(chain, 0) + 1
            yield (table, chain, numbers[chain]), Count(int(match[1]), int(match[2]))


def _connection(line: str) -> Connection:
    """Return the entry that a line of `conntrack -L -o extended` tells of."""
    words = line.split()
    protocol, left = int(words[3]), int(words[4])
    state = words[5] if "=" not in words[5] and words[5][0] != "[" else ""
    tuples: list[list[str]] = []
    marks = {"mark": 0, "zone": 0, "zone-orig": 0, "zone-reply": 0}
    for word in words[5:]:
        name, _, value = word.partition("=")
        if name == "src":
            tuples.append([])
        if name in _FIELDS:
            tuples[-1].append(value)
        elif name in marks:
            marks[name] = int(value)
    flags = tuple(sorted(word.strip("[]") for word in words if word.startswith("[")))
    original, reply = map(tuple, tuples)
    zones = marks["zone-orig"] or marks["zone"], marks["zone-reply"] or marks["zone"]
    return Connection(protocol, state, original, reply, flags, marks["mark"], zones, left)
