# SPDX-License-Identifier: GPL-2.0-only
"""`calico-ipam`: addresses from blocks, which a datastore knows and not the node.

The datastore is reached by what the kubeconfig of the configuration names, so that
is where it is found on the node's disk.

Source: projectcalico/calico cni-plugin/pkg/ipamplugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.result import IpConfig, Result
from emu.kube.ipam.errors import AllocationError
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from emu.kube.cni.call import Invocation
    from emu.kube.cni.fields import Fields
    from emu.kube.ipam.blocks import Blocks

KUBECONFIG: Final = "/etc/cni/net.d/calico-kubeconfig"


@attrs.frozen
class Kubeconfig:
    """The file by which the plugins reach the datastore; its text names the API server alone.

    Attributes:
        blocks: what is in the datastore.
        server: the address of the API server.
    """

    blocks: Blocks = attrs.field(eq=False)
    server: str = "https://10.96.0.1:443"

    def __str__(self) -> str:
        return (
            "# Kubeconfig file for Calico CNI plugin. Installed by calico/node.\n"
            "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n"
            f"    server: {self.server}\n"
            "users:\n- name: calico\ncontexts:\n- name: calico-context\n  context:\n"
            "    cluster: local\n    user: calico\ncurrent-context: calico-context\n"
        )


@attrs.frozen
class Options:
    """What a configuration says."""

    node: str
    kubeconfig: str


def read(fields: Fields) -> Options:
    """Return the options."""
    return Options(
        fields.text("nodename"), fields.object("kubernetes").text("kubeconfig", KUBECONFIG) or KUBECONFIG
    )


class CalicoIpam:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Give an address of the node's blocks, or the one that is asked for."""
        options = given.conf.read(read)
        blocks = _datastore(given, options)
        handle = _handle(given)
        wanted = given.call.args.get("IP", "")
        try:
            if wanted:
                address = IpAddress.parse(wanted)
                blocks.assign_this(options.node, handle, address)
            else:
                address = blocks.assign(options.node, handle)
        except (AllocationError, AddressError) as error:
            raise CniError(f"failed to request IPv4 addresses: {error}") from None
        return Result(ips=(IpConfig(Interface(address, 32)),))

    def delete(self, given: Invocation) -> None:
        """Give back what the container has."""
        options = given.conf.read(read)
        kubeconfig = given.call.disk.kept(options.kubeconfig)
        if isinstance(kubeconfig, Kubeconfig):
            kubeconfig.blocks.release(options.node, _handle(given))

    def check(self, given: Invocation) -> None:
        """Look whether the container has an address."""
        options = given.conf.read(read)
        if _datastore(given, options).held(options.node, _handle(given)) is None:
            raise CniError(f"no address is assigned to {_handle(given)}")

    def status(self, given: Invocation) -> None:
        """Look whether the datastore can be reached."""
        _datastore(given, given.conf.read(read))

    def gc(self, given: Invocation) -> None:
        """Do nothing: this plugin collects nothing."""


def _handle(given: Invocation) -> str:
    return f"{given.network.name}.{given.call.container_id}"


def _datastore(given: Invocation, options: Options) -> Blocks:
    found = given.call.disk.kept(options.kubeconfig)
    if not isinstance(found, Kubeconfig):
        raise CniError(
            f"error getting ClusterInformation: stat {options.kubeconfig}: no such file or directory: "
            "check that the calico/node container is running",
            ErrorCode.TRY_AGAIN_LATER,
        )
    return found.blocks
