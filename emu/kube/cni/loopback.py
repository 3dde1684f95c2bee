# SPDX-License-Identifier: GPL-2.0-only
"""`loopback`: brings up `lo`. Source: containernetworking/plugins plugins/main/loopback."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.kernel import rtnetlink
from emu.kube.cni.error import CniError
from emu.kube.cni.result import IpConfig, Result, ResultInterface
from emu.wire.addresses import ZERO_MAC, Interface

if TYPE_CHECKING:
    from emu.kube.cni.call import Invocation


class Loopback:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Set `lo` up, and return the previous result or what `lo` has."""
        call = given.call
        sandbox = call.require_sandbox()
        device = sandbox.loopback
        call.fabric.call(sandbox, partial(rtnetlink.set_up, device=device))
        if given.previous is not None:
            return given.previous
        return Result(
            (ResultInterface("lo", ZERO_MAC, call.path),),
            tuple(
                IpConfig(Interface(own.address, own.prefix.length), interface=0) for own in device.addresses
            ),
        )

    def delete(self, given: Invocation) -> None:
        """Set `lo` down, where the container still is."""
        sandbox = given.call.sandbox
        if sandbox is not None:
            given.call.fabric.call(sandbox, partial(rtnetlink.set_down, device=sandbox.loopback))

    def check(self, given: Invocation) -> None:
        """Look whether `lo` is up."""
        if not given.call.require_sandbox().loopback.up:
            raise CniError("loopback interface is down")

    def status(self, given: Invocation) -> None:
        """Do nothing: it can always be asked."""

    def gc(self, given: Invocation) -> None:
        """Do nothing: it holds nothing."""
