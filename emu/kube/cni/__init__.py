# SPDX-License-Identifier: GPL-2.0-only
"""The container network interface: configurations, results, plugins, and running them.

    call = Call(fabric, node, pod, container_id, disk=disk)
    result = cni.add(conf, call)      # forward; the result of the last plugin
    cni.check(conf, call)             # raises a CniError that says what is not as it was left
    cni.delete(conf, call)            # backwards; what is gone already is no mistake

`conf` is a `NetConfList`, `Call` says what a runtime says by the environment, and
a `Disk` is the node's file system as far as plugins use it. The plugins are in
`PLUGINS`. Source: the CNI specification 1.1.0.
"""

from __future__ import annotations

from emu.kube.cni.call import Call
from emu.kube.cni.disk import Disk
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.netconf import NetConfList
from emu.kube.cni.plugins import LOOPBACK, PLUGINS
from emu.kube.cni.result import Dns, IpConfig, Result, ResultInterface, RouteConfig
from emu.kube.cni.run import add, check, delete, gc, status, version

__all__ = [
    "LOOPBACK",
    "PLUGINS",
    "Call",
    "CniError",
    "Disk",
    "Dns",
    "ErrorCode",
    "IpConfig",
    "NetConfList",
    "Result",
    "ResultInterface",
    "RouteConfig",
    "add",
    "check",
    "delete",
    "gc",
    "status",
    "version",
]
