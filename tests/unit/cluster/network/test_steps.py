# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.network import actions, steps
from emu.sim.time import SECOND
from emu.testing.lab import two_hosts
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.cluster.network.actions import Action
    from emu.cluster.network.steps import Result
    from emu.testing.lab import Lab

B = IpAddress.parse("10.0.0.2")
NOBODY = IpAddress.parse("10.0.0.99")
NOWHERE = IpAddress.parse("192.0.2.1")


@pytest.fixture
def lab() -> Lab:
    """Two hosts, `a` and `b`, on a cable."""
    return two_hosts()


def done(lab: Lab, action: Action) -> Result:
    """Carry out `action` and return what it reports."""
    process = lab.begin(action)
    lab.finish(process)
    return process.result


class TestPing:
    """Echo requests."""

    def test_one_tells_who_answered_and_the_ttl(self, lab: Lab) -> None:
        """As it arrived."""
        assert done(lab, actions.Ping("a", B)) == {"outcome": "reply", "from": "10.0.0.2", "ttl": 64}

    def test_without_an_answer_has_no_sender(self, lab: Lab) -> None:
        """There is nobody to name."""
        assert done(lab, actions.Ping("a", NOBODY)) == {"outcome": "timeout"}

    def test_that_cannot_be_sent_tells_the_error(self, lab: Lab) -> None:
        """By its name in errno.h."""
        assert done(lab, actions.Ping("a", NOWHERE)) == {"outcome": "ENETUNREACH"}

    def test_an_error_on_the_way_tells_type_and_code(self, lab: Lab) -> None:
        """And who reports it, here the host itself."""
        found = done(lab, actions.Ping("a", NOBODY, timeout=5 * SECOND))
        assert found == {"outcome": "icmp 3/1", "from": "10.0.0.1"}

    def test_several_have_lists(self, lab: Lab) -> None:
        """One entry for each, whatever came of it."""
        found = done(lab, actions.Ping("a", B, count=2))
        assert found == {"outcome": ["reply", "reply"], "from": ["10.0.0.2", "10.0.0.2"]}
        found = done(lab, actions.Ping("a", NOBODY, count=2))
        assert found["outcome"] == ["timeout", "timeout"]
        assert found["from"] == [None, None]


class TestUdp:
    """Datagrams."""

    @pytest.mark.parametrize(
        ("reply", "outcome"),
        [
            (actions.UdpReply.ECHO, "reply"),
            (b"pong", "reply"),
            (b"", "reply"),
            (actions.UdpReply.NONE, "timeout"),
        ],
    )
    def test_a_server_answers_as_told(self, lab: Lab, reply: bytes | actions.UdpReply, outcome: str) -> None:
        """With the same, with a text, or not at all."""
        assert done(lab, actions.UdpServer("b", 53, reply=reply)) == {}
        assert done(lab, actions.UdpRequest("a", B, 53)) == {"outcome": outcome}

    def test_a_closed_port_refuses(self, lab: Lab) -> None:
        """The connected socket learns of it."""
        assert done(lab, actions.UdpRequest("a", B, 53)) == {"outcome": "ECONNREFUSED"}

    def test_several_equal_outcomes_are_one_word(self, lab: Lab) -> None:
        """Only different ones are a list."""
        done(lab, actions.UdpServer("b", 53))
        assert done(lab, actions.UdpRequest("a", B, 53, count=3)) == {"outcome": "reply"}


class TestTcp:
    """Connections."""

    def test_what_was_read_is_told(self, lab: Lab) -> None:
        """Its beginning as text, its length in octets."""
        done(lab, actions.TcpServer("b", 80, reply=b"0123456789", repeat=20))
        found = done(lab, actions.TcpRequest("a", B, 80, send=b"GET", want=200))
        assert found["outcome"] == "ok"
        assert found["received"] == ("0123456789" * 20)[:64]
        assert found["length"] == 200

    def test_octets_that_are_no_ascii_are_latin1(self, lab: Lab) -> None:
        """Each octet is a character."""
        done(lab, actions.TcpServer("b", 80, reply=b"\xe4\xff"))
        assert done(lab, actions.TcpRequest("a", B, 80, send=b"GET"))["received"] == "äÿ"

    def test_a_connection_that_stays_open_tells_no_length(self, lab: Lab) -> None:
        """More may come."""
        done(lab, actions.TcpServer("b", 80))
        found = done(lab, actions.TcpRequest("a", B, 80, send=b"GET", close="none"))
        assert found == {"outcome": "ok", "received": "hello"}

    @pytest.mark.parametrize(
        ("dst", "outcome"), [(B, "ECONNREFUSED"), (NOWHERE, "ENETUNREACH"), (NOBODY, "timeout")]
    )
    def test_a_failure_tells_its_name_alone(self, lab: Lab, dst: IpAddress, outcome: str) -> None:
        """Nothing was received."""
        assert done(lab, actions.TcpRequest("a", dst, 81, timeout=SECOND)) == {"outcome": outcome}


class TestOthers:
    """Traceroute, commands, frames, pauses."""

    def test_traceroute_lists_who_complained(self, lab: Lab) -> None:
        """Nothing for who kept silent."""
        assert done(lab, actions.Traceroute("a", B)) == {"hops": [["10.0.0.2", "3/3"]]}
        silent = done(lab, actions.Traceroute("a", NOBODY, max_ttl=2, timeout=SECOND // 10))
        assert silent == {"hops": [None, None]}

    def test_a_recorded_command_gives_its_lines(self, lab: Lab) -> None:
        """Others give nothing."""
        assert done(lab, actions.Exec("a", ("hostname", "-I"), record=True)) == {"stdout": ["10.0.0.1"]}
        assert done(lab, actions.Exec("a", ("hostname", "-I"))) == {}

    def test_a_failed_command_gives_its_words(self, lab: Lab) -> None:
        """Unless it may fail."""
        argv = ("ip", "link", "set", "eth9", "up")
        assert done(lab, actions.Exec("a", argv)) == {"outcome": 'failed: Cannot find device "eth9"'}
        assert done(lab, actions.Exec("a", argv, may_fail=True)) == {}

    @pytest.mark.parametrize(
        "action",
        [
            actions.Exec("a", ("ip6tables", "-L"), may_fail=True),
            actions.Exec("a", ("frobnicate",), may_fail=True),
            actions.Exec("a", ("tc", "qdisc")),
        ],
    )
    def test_what_is_not_modelled_is_never_passed_over(self, lab: Lab, action: Action) -> None:
        """Whatever may fail."""
        outcome = done(lab, action)["outcome"]
        assert isinstance(outcome, str)
        assert outcome.startswith("failed: ")
        assert "not modelled" in outcome

    def test_frames_are_sent_in_turn(self, lab: Lab) -> None:
        """The whole list as often as asked for, with a pause after each."""
        first, second = bytes(12) + b"\x88\xb5one", bytes(12) + b"\x88\xb5two"
        start = lab.fabric.loop.now
        with lab.capture("a/eth0") as recorded:
            done(lab, actions.Inject("a", "eth0", (first, second), count=2, interval=SECOND))
        assert recorded.frames == [first, second, first, second]
        instants = [frame.time_ns - recorded.capture.epoch - start for frame in recorded.capture.frames]
        assert instants == [0, SECOND, 2 * SECOND, 3 * SECOND]

    def test_sleep_lets_time_pass(self, lab: Lab) -> None:
        """No more and no less."""
        start = lab.fabric.loop.now
        assert done(lab, actions.Sleep(3 * SECOND)) == {}
        assert lab.fabric.loop.now - start == 3 * SECOND

    @pytest.mark.parametrize(
        "action",
        [
            actions.Quiet(),
            actions.Snapshot("x"),
            actions.Tally(actions.CapturePoint("a", "eth0"), (), "ip.dst"),
        ],
    )
    def test_what_waits_for_captures_is_the_runs_business(self, lab: Lab, action: Action) -> None:
        """A step alone has none."""
        with pytest.raises(ValueError, match=type(action).__name__):
            steps.as_program(lab.fabric, action)
