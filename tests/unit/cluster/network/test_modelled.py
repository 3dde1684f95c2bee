# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.cluster.network.build import BASE_SYSCTLS
from emu.cluster.network.modelled import CHECKS, unobeyed
from emu.kernel.sysctl_check import check_sysctl
from emu.testing.lab import two_hosts


class TestSysctl:
    """Settings below /proc/sys/net."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("net.ipv4.ip_forward", "1"),
            ("net/ipv4/ip_forward", "0"),
            ("net.ipv4.conf.all.rp_filter", "2"),
            ("net.ipv4.conf.cali1.proxy_arp", "1"),
            ("net/ipv4/conf/eth0.7/proxy_arp", "1"),
            ("net.ipv4.conf.eth0/7.proxy_arp", "1"),
            ("net.ipv4.neigh.eth0.proxy_delay", "0"),
            ("net.ipv4.ip_local_port_range", "500 600"),
            *((name, str(value)) for name, value in BASE_SYSCTLS.items()),
        ],
    )
    def test_there_are_those_of_a_namespace(self, name: str, value: str) -> None:
        """With dots or slashes, also of devices that are made later."""
        assert check_sysctl(name, value) is None

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("net.ipv4.ip_forwad", "net.ipv4.ip_forward"),
            ("net.ipv4.conf.eth0.proxyarp", "net.ipv4.conf.eth0.proxy_arp"),
            ("net/ipv4/conf/br.9/rp_fiter", "net.ipv4.conf.br/9.rp_filter"),
            ("kernel.hostname", None),
            ("", None),
        ],
    )
    def test_others_there_are_not(self, name: str, near: str | None) -> None:
        """What was probably meant is told."""
        hint = f"; did you mean {near!r}?" if near else ""
        assert check_sysctl(name, "1") == f"there is no such setting{hint}"

    def test_those_of_a_machine_are_told_apart(self) -> None:
        """They exist, but not there."""
        complaint = check_sysctl("net.core.netdev_max_backlog", "1")
        assert complaint == "is a setting of the machine: a namespace does not have it"

    @pytest.mark.parametrize(
        ("name", "value"), [("net.ipv4.ip_forward", "on"), ("net.ipv4.tcp_rmem", "1 x 2")]
    )
    def test_values_that_the_kernel_refuses_are_faults(self, name: str, value: str) -> None:
        """The value is repeated."""
        assert check_sysctl(name, value) == f"cannot be {value!r}"


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("ip", "route", "add", "10.0.0.0/8", "via", "10.0.0.1"), None),
        (("ip6tables", "-w", "-L"), "ip6tables is not modelled yet"),
        (("frobnicate",), "frobnicate is not modelled; there are "),
    ],
)
def test_commands_are_judged_without_running_them(argv: tuple[str, ...], complaint: str | None) -> None:
    """Whether they are modelled, and read as they have to be."""
    assert CHECKS.command is not None
    found = CHECKS.command(argv)
    assert (found is None) == (complaint is None)
    assert (found or "").startswith(complaint or "")


class TestUnobeyed:
    """What was set to no effect."""

    def test_is_named_once_and_sorted(self) -> None:
        """In however many namespaces it was."""
        lab = two_hosts()
        assert unobeyed(lab.fabric) == []
        for host in "ab":
            lab.namespace(host).run(
                "sysctl -w net.ipv4.tcp_fastopen=3 net.ipv4.tcp_ecn=0 net.ipv4.ip_forward=1"
            )
        assert unobeyed(lab.fabric) == lab.unobeyed == ["net.ipv4.tcp_ecn", "net.ipv4.tcp_fastopen"]

    def test_is_no_more_when_set_back(self) -> None:
        """A default has no effect to miss."""
        lab = two_hosts()
        default = lab.namespace("a").run("sysctl -n net.ipv4.tcp_ecn").strip()
        lab.namespace("a").run("sysctl -w net.ipv4.tcp_ecn=0")
        lab.namespace("a").run(f"sysctl -w net.ipv4.tcp_ecn={default}")
        assert lab.unobeyed == []
