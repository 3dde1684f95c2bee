# SPDX-License-Identifier: GPL-2.0-only
"""`/proc/sys/net`: what was found on Linux 6.18, said again as tests."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import SysctlError
from emu.kernel import sysctl_names as names
from emu.kernel.sysctl import COMBINED, Sysctl, dotted, path
from emu.kernel.sysctl_modelled import INVISIBLE, MODELLED

if TYPE_CHECKING:
    from collections.abc import Iterator

INT32 = st.integers(-(2**31), 2**31 - 1)


@pytest.fixture
def sysctl() -> Sysctl:
    """Return the settings of a node with `lo`, `eth0` and `flannel.1`."""
    sysctl = Sysctl()
    for device in ("lo", "eth0", "flannel.1"):
        sysctl.device_added(device)
    return sysctl


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/flannel.1/rp_filter", "net/ipv4/conf/flannel.1/rp_filter"),
        ("net.ipv4.conf.flannel/1.rp_filter", "net/ipv4/conf/flannel.1/rp_filter"),
        ("net.ipv4.conf.flannel.1.rp_filter", "net/ipv4/conf/flannel/1/rp_filter"),
    ],
)
def test_the_first_separator_of_a_name_decides_what_dots_mean(name: str, file: str) -> None:
    """Dots separate and slashes stand for dots, or the name is a path as it is."""
    assert path(name) == file


@given(st.from_regex(r"net/[a-z0-9./-]{1,20}", fullmatch=True))
def test_a_printed_name_leads_back_to_its_file(file: str) -> None:
    """What `sysctl` prints of a file can be given to `sysctl`."""
    assert path(dotted(file)) == file


class TestReadingAndWriting:
    """`get` and `set`."""

    def test_every_name_has_its_default_and_can_be_read(self, sysctl: Sysctl) -> None:
        """All files can be read, in the order in which `sysctl -a` lists them."""
        files = sysctl.files()
        assert files == sorted(files, key=lambda file: file.split("/"))
        assert all(sysctl.get(file) is not None for file in files)
        assert sysctl.get("net.ipv4.ip_default_ttl") == 64
        assert sysctl.get("net.ipv4.tcp_rmem") == (4096, 131072, 33554432)
        assert sysctl.get("net.ipv4.ip_local_reserved_ports") == ""

    def test_a_dot_in_an_interface_name_is_reached_by_slashes(self, sysctl: Sysctl) -> None:
        """Both ways of writing such a name reach one value; the naive one reaches none."""
        sysctl.set("net/ipv4/conf/flannel.1/rp_filter", 2)
        assert sysctl.get("net.ipv4.conf.flannel/1.rp_filter") == 2
        with pytest.raises(
            SysctlError, match=r"cannot stat /proc/sys/net/ipv4/conf/flannel/1/rp_filter: No such"
        ):
            sysctl.get("net.ipv4.conf.flannel.1.rp_filter")

    @pytest.mark.parametrize(
        "name",
        [
            "net.ipv4.foo",
            "net.ipv4.conf.eth7.rp_filter",
            "net.ipv4.conf.eth0.foo",
            "net.ipv4.conf.eth0",
            "net/ipv4.ip_forward",
            "kernel.panic",
            "",
        ],
    )
    def test_an_unknown_name_is_refused_as_sysctl_refuses_it(self, sysctl: Sysctl, name: str) -> None:
        """Reading and writing say which file there is not, and change nothing."""
        for attempt in (lambda: sysctl.get(name), lambda: sysctl.set(name, 1)):
            with pytest.raises(SysctlError) as caught:
                attempt()
            assert str(caught.value) == f"cannot stat /proc/sys/{path(name)}: No such file or directory"
        assert sysctl.generation == Sysctl().generation + 3

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("net.ipv4.ip_forward", "x"),
            ("net.ipv4.ip_forward", ""),
            ("net.ipv4.ip_forward", 2**31),
            ("net.ipv4.conf.all.rp_filter", "1x"),
            ("net.ipv4.conf.all.rp_filter", "08"),
            ("net.ipv4.ip_default_ttl", 0),
            ("net.ipv4.ip_default_ttl", 256),
            ("net.ipv4.icmp_echo_ignore_all", 2),
            ("net.ipv4.ip_local_port_range", "9 2"),
            ("net.ipv4.ip_local_port_range", "80 2000"),
            ("net.ipv4.ip_local_port_range", "1024 65536"),
            ("net.ipv4.tcp_rmem", "1 x"),
            ("net.ipv4.tcp_rmem", "0 1 1"),
            ("net.ipv4.tcp_available_congestion_control", "cubic"),
            ("net.netfilter.nf_conntrack_count", 1),
            ("net.ipv4.conf.eth0.mc_forwarding", 1),
        ],
    )
    def test_a_value_that_the_kernel_refuses_is_an_error(
        self, sysctl: Sysctl, name: str, value: int | str
    ) -> None:
        """The message is the one of `sysctl`, and the old value stays."""
        before = sysctl.get(name)
        with pytest.raises(SysctlError) as caught:
            sysctl.set(name, value)
        assert str(caught.value) == f'setting key "{name}": Invalid argument'
        assert sysctl.get(name) == before

    def test_an_unknown_congestion_control_is_no_such_file(self, sysctl: Sysctl) -> None:
        """The kernel looks for a module of that name and says that there is none."""
        with pytest.raises(SysctlError, match="No such file or directory"):
            sysctl.set("net.ipv4.tcp_congestion_control", "foo")

    @pytest.mark.parametrize(
        ("text", "number"),
        [("2", 2), (" 2\n", 2), ("0x10", 16), ("010", 8), ("-1", -1), ("1 2", 1), ("0", 0)],
    )
    def test_numbers_are_read_as_the_kernel_reads_them(self, sysctl: Sysctl, text: str, number: int) -> None:
        """Decimal, octal or hexadecimal; what stands behind the number is passed over."""
        sysctl.set("net.ipv4.conf.eth0.arp_ignore", text)
        assert sysctl.get("net.ipv4.conf.eth0.arp_ignore") == number

    def test_a_row_of_numbers_keeps_those_that_are_not_written(self, sysctl: Sysctl) -> None:
        """Fewer numbers may be written than there are; more are passed over."""
        sysctl.set("net.ipv4.tcp_rmem", "1 2")
        assert sysctl.numbers("net.ipv4.tcp_rmem") == (1, 2, 33554432)
        sysctl.set("net.ipv4.tcp_rmem", (3, 4, 5, 6))
        assert sysctl.numbers("net.ipv4.tcp_rmem") == (3, 4, 5)

    def test_a_bridge_switch_reads_back_as_zero_or_one(self, sysctl: Sysctl) -> None:
        """`bridge-nf-call-iptables` is off for 0 and on for everything else."""
        sysctl.set("net.bridge.bridge-nf-call-iptables", 7)
        assert sysctl.get("net.bridge.bridge-nf-call-iptables") == 1

    def test_number_and_numbers_refuse_what_is_none(self, sysctl: Sysctl) -> None:
        """Asking for one number where there is a row, or the reverse, is an error."""
        with pytest.raises(SysctlError, match="not one number"):
            sysctl.number("net.ipv4.tcp_rmem")
        with pytest.raises(SysctlError, match="no row of numbers"):
            sysctl.numbers("net.ipv4.ip_forward")
        assert sysctl.number("net/ipv4/ip_default_ttl") == 64

    def test_generation_changes_with_every_write_and_device(self, sysctl: Sysctl) -> None:
        """Whoever keeps something derived from the settings can see that it is out of date."""
        seen = {sysctl.generation}
        sysctl.set("net.ipv4.ip_forward", 1)
        seen.add(sysctl.generation)
        sysctl.set("net.ipv4.conf.eth0.rp_filter", 1)
        seen.add(sysctl.generation)
        sysctl.device_removed("eth0")
        seen.add(sysctl.generation)
        assert len(seen) == 4


class TestForwarding:
    """`ip_forward`, which is `conf.all.forwarding`, and what hangs on it."""

    def test_ip_forward_reaches_all_default_and_every_device(self, sysctl: Sysctl) -> None:
        """One write switches all of them, and devices that come later."""
        sysctl.set("net.ipv4.ip_forward", 1)
        sysctl.device_added("eth1")
        assert {table["forwarding"] for table in sysctl.conf.values()} == {1}
        sysctl.set("net.ipv4.conf.all.forwarding", 0)
        assert {table["forwarding"] for table in sysctl.conf.values()} == {0}
        assert sysctl.get("net.ipv4.ip_forward") == 0

    def test_a_router_does_not_accept_redirects(self, sysctl: Sysctl) -> None:
        """Switching forwarding sets `accept_redirects` of `all` to the contrary."""
        sysctl.set("net.ipv4.ip_forward", 1)
        assert sysctl.conf["all"]["accept_redirects"] == 0
        sysctl.set("net.ipv4.ip_forward", 0)
        assert sysctl.conf["all"]["accept_redirects"] == 1

    def test_writing_the_value_that_is_there_changes_nothing(self, sysctl: Sysctl) -> None:
        """A device that was switched off alone stays off when 1 is written over 1."""
        sysctl.set("net.ipv4.ip_forward", 1)
        sysctl.set("net.ipv4.conf.eth0.forwarding", 0)
        sysctl.set("net.ipv4.ip_forward", 1)
        assert sysctl.conf["eth0"]["forwarding"] == 0
        assert sysctl.get("net.ipv4.ip_forward") == 1

    def test_forwarding_of_default_reaches_new_devices_only(self, sysctl: Sysctl) -> None:
        """It is not copied to the devices that are there."""
        sysctl.set("net.ipv4.conf.default.forwarding", 1)
        assert sysctl.conf["eth0"]["forwarding"] == 0
        assert sysctl.device_added("eth1")["forwarding"] == 1

    def test_ipv6_writes_some_names_of_all_through(self, sysctl: Sysctl) -> None:
        """`disable_ipv6` of `all` is written to `default` and every device."""
        sysctl.set("net.ipv6.conf.all.disable_ipv6", 1)
        assert {table["disable_ipv6"] for table in sysctl.conf6.values()} == {1}


class TestDevices:
    """The copies that devices have."""

    def test_a_new_device_takes_what_default_holds(self, sysctl: Sysctl) -> None:
        """Both `conf` and `neigh`; the dict is the one that `conf` keeps."""
        sysctl.set("net.ipv4.conf.default.rp_filter", 2)
        sysctl.set("net.ipv4.neigh.default.ucast_solicit", 9)
        assert sysctl.device_added("eth1") is sysctl.conf["eth1"]
        assert sysctl.conf["eth1"]["rp_filter"] == 2
        assert sysctl.neigh["eth1"]["ucast_solicit"] == 9

    def test_the_loopback_device_starts_a_little_different(self, sysctl: Sysctl) -> None:
        """`lo` has no IPsec policy, and IPv6 makes no temporary addresses there."""
        assert sysctl.conf["lo"]["disable_policy"] == 1
        assert sysctl.conf6["lo"]["use_tempaddr"] == -1

    def test_default_reaches_devices_without_address_or_value_of_their_own(self, sysctl: Sysctl) -> None:
        """An address detaches a device altogether, a written value for its name."""
        sysctl.address_added("flannel.1")
        sysctl.set("net.ipv4.conf.eth0.rp_filter", 2)
        sysctl.set("net.ipv4.conf.default.rp_filter", 1)
        assert [sysctl.conf[device]["rp_filter"] for device in ("lo", "eth0", "flannel.1")] == [1, 2, 0]

    def test_some_names_of_default_are_never_copied(self, sysctl: Sysctl) -> None:
        """`route_localnet` of `default` is for devices to come."""
        sysctl.set("net.ipv4.conf.default.route_localnet", 1)
        assert sysctl.conf["eth0"]["route_localnet"] == 0

    def test_a_removed_device_takes_its_names_with_it(self, sysctl: Sysctl) -> None:
        """Its names are unknown afterwards."""
        sysctl.device_removed("eth0")
        with pytest.raises(SysctlError):
            sysctl.get("net.ipv4.conf.eth0.rp_filter")
        with pytest.raises(SysctlError):
            sysctl.get("net.ipv4.neigh.eth0.gc_stale_time")

    def test_a_renamed_device_keeps_its_values(self, sysctl: Sysctl) -> None:
        """They are found under the new name, not under the old, and still its own."""
        sysctl.set("net.ipv4.conf.eth0.rp_filter", 2)
        table = sysctl.conf["eth0"]
        sysctl.device_renamed("eth0", "net0")
        sysctl.set("net.ipv4.conf.default.rp_filter", 1)
        assert sysctl.conf["net0"] is table
        assert sysctl.get("net.ipv4.conf.net0.rp_filter") == 2
        assert "eth0" not in sysctl.conf

    @pytest.mark.parametrize(
        ("view", "seen", "held", "value"),
        [
            ("base_reachable_time", 30, "base_reachable_time_ms", 30000),
            ("retrans_time", 100, "retrans_time_ms", 1000),
            ("unres_qlen", 101, "unres_qlen_bytes", 212992),
        ],
    )
    def test_two_names_of_one_neighbour_value_agree(
        self, sysctl: Sysctl, view: str, seen: int, held: str, value: int
    ) -> None:
        """Each shows the value in its own unit, whichever was written."""
        assert sysctl.get(f"net.ipv4.neigh.eth0.{view}") == seen
        assert sysctl.neigh["eth0"][held] == value
        sysctl.set(f"net.ipv4.neigh.eth0.{view}", 7)
        assert sysctl.get(f"net.ipv4.neigh.eth0.{view}") == 7
        assert sysctl.neigh["eth0"][held] == 7 * names.VIEWS[view].unit

    def test_only_the_initial_namespace_has_a_default_of_neighbours(self) -> None:
        """A pod's namespace has neither that nor what belongs to the whole machine."""
        pod = Sysctl(initial=False)
        for name in ("net.ipv4.neigh.default.gc_thresh1", "net.core.netdev_budget"):
            assert Sysctl().get(name) is not None
            with pytest.raises(SysctlError):
                pod.get(name)
        with pytest.raises(SysctlError, match="Invalid argument"):
            pod.set("net.netfilter.nf_conntrack_max", 5)
        assert not any("/neigh/default/" in file for file in pod.files())


class TestCombining:
    """How `all` and a device make the value that counts."""

    @given(own=INT32, shared=INT32)
    def test_the_rule_of_each_name_is_followed(self, own: int, shared: int) -> None:
        """Names of the table combine by their rule, others are the device's."""
        sysctl = Sysctl()
        sysctl.device_added("eth0")
        for name in names.CONF:
            sysctl._conf.put("eth0", name, own)
            sysctl._conf.put("all", name, shared)
        assert sysctl.effective("eth0", "rp_filter") == max(own, shared)
        assert bool(sysctl.effective("eth0", "proxy_arp")) == bool(own or shared)
        assert bool(sysctl.effective("eth0", "accept_source_route")) == bool(own and shared)
        assert sysctl.effective("eth0", "forwarding") == own

    @pytest.mark.parametrize("forwards", [0, 1])
    @pytest.mark.parametrize("own", [0, 1])
    @pytest.mark.parametrize("shared", [0, 1])
    def test_a_router_needs_both_to_accept_redirects(self, forwards: int, own: int, shared: int) -> None:
        """A device that forwards accepts redirects if it and `all` say so, a host if one does."""
        sysctl = Sysctl()
        sysctl.device_added("eth0")
        sysctl._conf.put("eth0", "forwarding", forwards)
        sysctl._conf.put("eth0", "accept_redirects", own)
        sysctl._conf.put("all", "accept_redirects", shared)
        expected = (own and shared) if forwards else (own or shared)
        assert sysctl.effective("eth0", "accept_redirects") == expected

    def test_the_table_of_rules_names_only_what_exists(self) -> None:
        """Every name in it is one of `net.ipv4.conf`."""
        assert COMBINED.keys() <= names.CONF.keys()


class TestUnmodelled:
    """What the stack does not obey is remembered, so that it can be said."""

    def test_a_setting_without_effect_is_listed_until_it_is_taken_back(self, sysctl: Sysctl) -> None:
        """It is there by the name `sysctl` prints, while it differs from the default."""
        sysctl.set("net/ipv4/conf/flannel.1/bootp_relay", 1)
        sysctl.set("net.ipv4.tcp_plb_enabled", 1)
        sysctl.set("net.ipv4.ip_forward", 1)
        assert sysctl.unmodelled == {
            "net.ipv4.conf.flannel/1.bootp_relay": 1,
            "net.ipv4.tcp_plb_enabled": 1,
        }
        sysctl.set("net.ipv4.tcp_plb_enabled", 0)
        assert set(sysctl.unmodelled) == {"net.ipv4.conf.flannel/1.bootp_relay"}

    def test_what_no_packet_shows_is_not_worth_a_word(self, sysctl: Sysctl) -> None:
        """Logging and memory limits are stored in silence."""
        sysctl.set("net.ipv4.conf.all.log_martians", 1)
        sysctl.set("net.core.rmem_max", 1)
        assert sysctl.unmodelled == {}

    def test_the_lists_name_only_what_exists(self, sysctl: Sysctl) -> None:
        """There is no slip of the pen in them."""
        for name in MODELLED | INVISIBLE:
            assert sysctl.get(name.replace("*", "eth0")) is not None, name

    def test_what_the_stack_reads_is_listed_as_obeyed(self) -> None:
        """A name that stands in the code of the kernel is in `MODELLED`."""
        devices = {name.rpartition(".")[2] for name in MODELLED if "*" in name}
        for text in texts_in_the_kernel():
            if text in names.FLAT or text in names.INITIAL:
                assert text in MODELLED
            if text in names.CONF or text in names.NEIGH:
                assert text in devices


def texts_in_the_kernel() -> Iterator[str]:
    """Yield all literal texts in `emu/kernel`, but for the modules of the settings themselves."""
    kernel = Path(names.__file__).parent
    for module in kernel.rglob("*.py"):
        if not module.name.startswith("sysctl"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
