# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import EndPointError, UnknownNameError
from emu.testing.lab import Lab, pods_on_a_bridge, two_hosts
from emu.verify.endpoint import Protocol, find_source, find_target
from emu.wire.addresses import IpAddress

HOSTS = two_hosts()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("b", "b/ICMP"),
        ("b/icmp", "b/ICMP"),
        ("b:80", "b:80/TCP"),
        ("b:80/tcp", "b:80/TCP"),
        ("b:53/UDP", "b:53/UDP"),
        ("b:36412/sctp", "b:36412/SCTP"),
        ("10.0.0.2", "10.0.0.2/ICMP"),
        ("10.0.0.2:65535/Udp", "10.0.0.2:65535/UDP"),
        ("192.0.2.1:1", "192.0.2.1:1/TCP"),
        ("127.0.0.1", "127.0.0.1/ICMP"),
    ],
)
def test_a_target_is_a_name_or_address_with_port_and_protocol(text: str, meant: str) -> None:
    """TCP where there is a port, an echo where there is none, unless something else is said."""
    assert str(find_target(HOSTS, text)) == meant


def test_a_name_stands_for_the_first_address_that_is_not_the_loopbacks() -> None:
    """That of the first device that has one."""
    assert find_target(pods_on_a_bridge(), "node1").address == IpAddress.parse("10.244.0.1")
    assert find_target(HOSTS, "b").address == IpAddress.parse("10.0.0.2")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "TO is NAME or ADDRESS"),
        ("b/80/tcp", "not '80/tcp'"),
        ("[10.0.0.2]80", "TO is NAME or ADDRESS"),
        ("[]", "is no IP address"),
        ("b:80:81", "is no IP address"),
        (":80", "TO is NAME or ADDRESS"),
        ("b:", "a number from 1 to 65535"),
        ("b:0", "a number from 1 to 65535"),
        ("b:65536", "a number from 1 to 65535"),
        ("b:http", "a number from 1 to 65535"),
        ("b:٣", "a number from 1 to 65535"),
        ("b:80/icmp", "ICMP has no ports"),
        ("b/udp", "UDP needs a port"),
        ("b/tpc", "did you mean 'tcp'?"),
        ("b:80/dccp", "not 'dccp'"),
        ("b/sctp", "SCTP needs a port"),
        ("10.0.0", "is no IP address"),
        ("10.0.0.300:80", "is no IP address"),
        ("[fd00::1]", "IPv4 alone"),
        ("fd00::1", "IPv4 alone"),
        ("[fd00::1]:80/udp", "IPv4 alone"),
        ("224.0.0.1", "is no host's address"),
        ("255.255.255.255", "is no host's address"),
        ("0.0.0.0", "is no host's address"),  # noqa: S104 - text, and refused
    ],
)
def test_a_wrong_target_is_refused_in_words(text: str, told: str) -> None:
    """What is wrong with it is said."""
    with pytest.raises(EndPointError, match=told.replace("?", r"\?")):
        find_target(HOSTS, text)


def test_an_unknown_name_is_told_with_those_that_are() -> None:
    """For both ends."""
    for find in (find_source, find_target):
        with pytest.raises(UnknownNameError, match=r"no namespace c \(there are a, b\)"):
            find(HOSTS, "c")


def test_a_namespace_without_address_is_no_target() -> None:
    """A switch can be asked nothing."""
    lab = two_hosts()
    lab.namespace("b").run("ip addr flush dev eth0")
    with pytest.raises(UnknownNameError, match="namespace b has no address"):
        find_target(lab, "b")


class TestSource:
    """`find_source`."""

    def test_a_name_leaves_the_address_to_the_kernel(self) -> None:
        """The program binds to nothing."""
        source = find_source(HOSTS, "a")
        assert (source.namespace, source.address) == ("a", None)

    def test_an_address_means_who_has_it(self) -> None:
        """And the program binds to it."""
        source = find_source(HOSTS, "10.0.0.2")
        assert (source.namespace, source.address) == ("b", IpAddress.parse("10.0.0.2"))

    @pytest.mark.parametrize("address", ["10.0.0.3", "127.0.0.1"])
    def test_an_address_of_nobody_or_of_several_is_refused(self, address: str) -> None:
        """The message names those that have it."""
        with pytest.raises(UnknownNameError, match=r"no namespace|a, b"):
            find_source(HOSTS, address)

    @pytest.mark.parametrize("text", ["a:80", "a/tcp"])
    def test_it_has_no_port(self, text: str) -> None:
        """The kernel chooses one."""
        with pytest.raises(EndPointError, match="without a port"):
            find_source(HOSTS, text)


@pytest.fixture(scope="module")
def hosts() -> Lab:
    """Two hosts that nothing is done to."""
    return HOSTS


@given(text=st.one_of(st.text(max_size=12), st.from_regex(r"[ab0-9.:\[\]/tcpudim]{0,12}", fullmatch=True)))
def test_whatever_is_written_is_understood_or_refused(text: str, hosts: Lab) -> None:
    """There are no other exceptions; what is understood is understood the same when written back."""
    with suppress(EndPointError, UnknownNameError):
        find_source(hosts, text)
    try:
        target = find_target(hosts, text)
    except (EndPointError, UnknownNameError):
        return
    assert find_target(hosts, str(target)) == target
    assert bool(target.port) is (target.protocol is not Protocol.ICMP)
