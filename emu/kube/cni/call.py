# SPDX-License-Identifier: GPL-2.0-only
"""What a runtime tells a plugin: the environment and standard input of a process that never starts.

Source: CNI specification 1.1.0, section 2 and section 4, "Deriving request configuration".
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from emu.kube.cni.error import CniError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.disk import Disk
    from emu.kube.cni.fields import Json
    from emu.kube.cni.netconf import NetConfList, PluginConf
    from emu.kube.cni.result import Result

NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})
_NO_ARGS: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen(eq=False)
class Call:
    """One operation on one attachment: a container and the name of its device.

    Attributes:
        fabric: what the namespaces are part of.
        host: the node's namespace.
        sandbox: the container's namespace; None when it is gone already (DEL).
        container_id: usually 64 hexadecimal digits.
        disk: the node's files.
        ifname: name of the device in the container.
        netns: path of the container's namespace; by default made of its name.
        args: CNI_ARGS.
        capabilities: what the runtime has for plugins that ask for it
            (`portMappings`, `ips`, `mac`, ...).
    """

    fabric: Fabric
    host: Namespace
    sandbox: Namespace | None
    container_id: str
    disk: Disk = attrs.field(kw_only=True)
    ifname: str = attrs.field(default="eth0", kw_only=True)
    netns: str = attrs.field(default="", kw_only=True)
    args: Mapping[str, str] = attrs.field(default=_NO_ARGS, kw_only=True)
    capabilities: Mapping[str, Json] = attrs.field(default=NOTHING, kw_only=True)

    @property
    def path(self) -> str:
        """CNI_NETNS: the path of the container's namespace, empty when it is gone."""
        if self.netns or self.sandbox is None:
            return self.netns
        return f"/var/run/netns/{self.sandbox.name.replace('/', '-')}"

    def require_sandbox(self) -> Namespace:
        """Return the container's namespace.

        Raises:
            CniError: there is none (code 4).
        """
        if self.sandbox is None:
            raise CniError("required env variables [CNI_NETNS] missing", ErrorCode.INVALID_ENVIRONMENT)
        return self.sandbox


def parse_args(text: str) -> dict[str, str]:
    """Return the pairs of a CNI_ARGS text, `K=V;K=V`.

    Raises:
        CniError: a pair has no `=` (code 4).
    """
    found = {}
    for pair in text.split(";") if text else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise CniError(f'CNI_ARGS invalid key/value pair "{pair}"', ErrorCode.INVALID_ENVIRONMENT)
        found[key] = value
    return found


@attrs.frozen(eq=False)
class Invocation:
    """One start of a plugin.

    Attributes:
        call: what stands in its environment.
        network: the list that it is a part of: name and version.
        conf: its own part, from standard input.
        runtime: `runtimeConfig`.
        previous: `prevResult`; None for the first plugin of an ADD.
        plugins: where other plugins are found (CNI_PATH).
        attachments: for GC, what is still in use: pairs of container id and device.
    """

    call: Call
    network: NetConfList
    conf: PluginConf
    runtime: Mapping[str, Json]
    previous: Result | None
    plugins: Mapping[str, Plugin]
    attachments: Sequence[tuple[str, str]] = ()

    def stdin(self) -> str:
        """Return the configuration as the plugin would read it."""
        found: dict[str, Json] = {
            **self.conf.options,
            "cniVersion": self.network.cni_version,
            "name": self.network.name,
        }
        found.pop("capabilities", None)
        if self.runtime:
            found["runtimeConfig"] = dict(self.runtime)
        if self.previous is not None:
            found["prevResult"] = self.previous.as_json(self.network.cni_version)
        return json.dumps(found)

    def find(self, kind: str) -> Plugin:
        """Return the plugin `kind`, to delegate to.

        Raises:
            CniError: there is none.
        """
        try:
            return self.plugins[kind]
        except KeyError:
            raise CniError(f'failed to find plugin "{kind}" in path [/opt/cni/bin]') from None

    def with_conf(self, conf: PluginConf) -> Invocation:
        """Return the same call with another configuration, for a plugin that is delegated to."""
        return attrs.evolve(self, conf=conf)


class Plugin(Protocol):
    """A CNI plugin."""

    def add(self, given: Invocation) -> Result:
        """Attach the container, and return what came of it.

        Raises:
            CniError: it cannot be done.
        """

    def delete(self, given: Invocation) -> None:
        """Undo what `add` did; what is missing is no mistake.

        Raises:
            CniError: it cannot be done.
        """

    def check(self, given: Invocation) -> None:
        """Look whether everything is as `add` left it.

        Raises:
            CniError: it is not, or `add` was never asked.
        """

    def status(self, given: Invocation) -> None:
        """Say whether ADD can be served.

        Raises:
            CniError: it cannot (codes 50 and 51).
        """

    def gc(self, given: Invocation) -> None:
        """Give back what attachments hold that are not in use any more.

        Raises:
            CniError: it cannot be done.
        """
