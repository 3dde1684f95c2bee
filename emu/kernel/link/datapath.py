# SPDX-License-Identifier: GPL-2.0-only
"""Open vSwitch's datapath, as a router in user space programs it that learns MAC addresses (weave's does).

It switches like a bridge, and no packet in it meets netfilter. Known
difference: flows come and go in the real one, the first packet of each by way of
user space; here it knows at once what the router would enter.
Source: net/openvswitch, weaveworks/weave router/fastdp.go.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from emu.kernel.link.bridge import Bridge


@attrs.define(eq=False)
class Datapath(Bridge):
    """The link of a datapath's own device."""

    kind: ClassVar[str] = "openvswitch"
    meets_netfilter: ClassVar[bool] = False
