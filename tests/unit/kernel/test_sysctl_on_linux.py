# SPDX-License-Identifier: GPL-2.0-only
"""`/proc/sys/net` beside a real namespace: same names, same values, same refusals."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import TYPE_CHECKING

import pytest

from emu.errors import SysctlError
from emu.kernel import sysctl_names as names
from emu.kernel.sysctl import Sysctl, dotted
from emu.tools.sysctl import parse_settings, render

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not platform.release().startswith("6.18."), reason="the names are those of Linux 6.18"
    ),
]

SET_UP = """
ip link add flannel.1 type veth peer name eth0
ip link add cni0 type bridge
iptables -A INPUT -m conntrack --ctstate NEW
"""
DEVICES = ("lo", "flannel.1", "eth0", "cni0")
# Chosen at boot by the machine's memory and configuration, or for all namespaces at once.
MACHINE = (
    "congestion_control",
    "net/core/rps_default_mask",
    "net/mptcp/available_",
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_expect_max",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_hooks_lwtunnel",
    "net/netfilter/nf_log/",
    "net/ipv4/tcp_ehash_entries",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_max_tw_buckets",
    "net/ipv4/tcp_mem",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
    "net/ipv4/udp_hash_entries",
    "mem_default",
    "mem_max",
)
OF_MODULES = ("net/ipv4/vs/",)
"""Names that a kernel has only with a module that not every kernel is built with."""

PER_DEVICE_MTU = "/mtu"  # of IPv6, which takes the device's
WRITTEN = (-1, 0, 1, 2, 3, 4, 8, 31, 64, 128, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31)
BOUND_TO_EACH_OTHER = ("frag", "thresh", "ip_unprivileged_port_start", "reordering", "addr_gen_mode")


class Linux:
    """A namespace of this machine."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def dump(self) -> dict[str, str]:
        """Return all settings, by file."""
        output = self.run("sh", "-c", "cd /proc/sys && grep -rs '' net").stdout
        pairs = (line.partition(":") for line in output.splitlines())
        return {file: value for file, _, value in pairs if file.split("/")[-1] not in names.UNLISTED}


@pytest.fixture(scope="module")
def linux() -> Iterator[Linux]:
    """Return a fresh namespace with a veth pair, a bridge, and connection tracking."""
    linux = Linux(f"emu-sysctl-{os.getpid()}")
    subprocess.run(["ip", "netns", "add", linux.name], check=True)
    try:
        linux.run("sh", "-ec", SET_UP).check_returncode()
        yield linux
    finally:
        subprocess.run(["ip", "netns", "delete", linux.name], check=True)


@pytest.fixture
def ours() -> Sysctl:
    """Return the same in emu."""
    ours = Sysctl(initial=False)
    for device in DEVICES:
        ours.device_added(device)
    return ours


def files_of(ours: Sysctl, linux: Linux) -> list[str]:
    """Return the names in emu, those left out whose module this machine's kernel does not have."""
    missing = tuple(each for each in OF_MODULES if linux.run("test", "-d", f"/proc/sys/{each}").returncode)
    return [file for file in ours.files() if not file.startswith(missing)]


def is_the_machines(file: str) -> bool:
    """Return whether a value is another machine's business."""
    return any(part in file for part in MACHINE) or (
        file.startswith("net/ipv6") and file.endswith(PER_DEVICE_MTU)
    )


def test_names_and_defaults_are_those_of_the_kernel(linux: Linux, ours: Sysctl) -> None:
    """A new namespace has the same files with the same content."""
    theirs = linux.dump()
    files = files_of(ours, linux)
    assert set(files) == set(theirs)
    values = {file: render(file, ours.get(file)).partition(" = ")[2] for file in files}
    differing = {file for file in values if values[file] != theirs[file] and not is_the_machines(file)}
    assert {file: (values[file], theirs[file]) for file in differing} == {}


def test_names_are_listed_in_the_same_order(linux: Linux, ours: Sysctl) -> None:
    """`sysctl -a` of both begins and ends alike."""
    theirs = [setting.name for setting in parse_settings(linux.run("sysctl", "-a").stdout)]
    assert [dotted(file) for file in files_of(ours, linux)] == [
        name for name in theirs if name.startswith("net.")
    ]


def test_what_the_kernel_refuses_is_refused(linux: Linux, ours: Sysctl) -> None:
    """Each number is taken, or refused, for each name that holds a number."""
    files = [
        file
        for file in files_of(ours, linux)
        if isinstance(ours.get(file), int) and not is_the_machines(file)
    ]
    files = [file for file in files if not any(part in file for part in BOUND_TO_EACH_OTHER)]
    files = [file for file in files if "/conf/" not in file or "/conf/eth0/" in file]
    files = [file for file in files if "/neigh/" not in file or "/neigh/eth0/" in file]
    script = "".join(
        f"echo {value} 2>/dev/null >/proc/sys/{file} && echo {file} {value}\n"
        for file in files
        for value in WRITTEN
    )
    theirs = set(linux.run("sh", text=f"exec 2>/dev/null\n{script}").stdout.splitlines())
    taken = {f"{file} {value}" for file in files for value in WRITTEN if takes(ours, file, value)}
    assert taken ^ theirs == set()


def takes(sysctl: Sysctl, file: str, value: int) -> bool:
    """Write a value and return whether it was taken."""
    try:
        sysctl.set(file, value)
    except SysctlError:
        return False
    return True
