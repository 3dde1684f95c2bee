# SPDX-License-Identifier: GPL-2.0-only
"""`flannel`: makes a configuration of what the daemon found out, and leaves the rest to another plugin.

`/run/flannel/subnet.env` and the object `delegate` become a configuration of
`bridge` with `host-local`. It is kept in `/var/lib/cni/flannel/CONTAINER ID`, so
that DEL works whatever the daemon does meanwhile.

Source: flannel-io/cni-plugin.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.netconf import PluginConf
from emu.wire.addresses import Interface, Prefix

if TYPE_CHECKING:
    from emu.kube.cni.call import Invocation
    from emu.kube.cni.fields import Fields, Json
    from emu.kube.cni.result import Result

SUBNET_FILE: Final = "/run/flannel/subnet.env"
DATA_DIR: Final = "/var/lib/cni/flannel"
_REQUIRED: Final = ("FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ")
_TRUTHS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@attrs.frozen(eq=False)
class Options:
    """What a configuration says, and what was made of it, by the text of the daemon's file."""

    subnet_file: str
    data_dir: str
    delegate: dict[str, Json]
    ipam: dict[str, Json]
    rendered: dict[tuple[str, str], _Rendered] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class _Rendered:
    """A configuration for the plugin that does the work, and its text."""

    conf: PluginConf
    text: str

    def __str__(self) -> str:
        return self.text


def read(fields: Fields) -> Options:
    """Return the options."""
    delegate = fields.object("delegate")
    if "name" in delegate.values:
        delegate.wrong("name", "'delegate' dictionary must not have 'name' field, it'll be set by flannel")
    if "ipam" in delegate.values:
        delegate.wrong("ipam", "'delegate' dictionary must not have 'ipam' field, it'll be set by flannel")
    if not delegate.text("type", "bridge"):
        delegate.wrong("type", "'delegate' dictionary, if present, must have (string) 'type' field")
    return Options(
        fields.text("subnetFile", SUBNET_FILE) or SUBNET_FILE,
        fields.text("dataDir", DATA_DIR) or DATA_DIR,
        dict(delegate.values),
        dict(fields.object("ipam").values),
    )


class Flannel:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Have the rendered configuration carried out."""
        options = given.conf.read(read)
        if options.subnet_file not in given.call.disk:
            raise CniError(
                "loadFlannelSubnetEnv failed: failed to load flannel 'subnet.env' file: "
                f"open {options.subnet_file}: no such file or directory. "
                "Check the flannel pod log for this node."
            )
        rendered = _render(given, options)
        given.call.disk.keep(f"{options.data_dir}/{given.call.container_id}", rendered)
        return given.find(rendered.conf.type).add(given.with_conf(rendered.conf))

    def delete(self, given: Invocation) -> None:
        """Undo by what was kept; a container that has nothing kept is none of ours."""
        options = given.conf.read(read)
        path = f"{options.data_dir}/{given.call.container_id}"
        conf = _kept(given, path)
        if conf is not None:
            given.find(conf.type).delete(given.with_conf(conf))
            del given.call.disk[path]

    def check(self, given: Invocation) -> None:
        """Ask the plugin that did the work."""
        options = given.conf.read(read)
        conf = _kept(given, f"{options.data_dir}/{given.call.container_id}")
        if conf is None:
            raise CniError(f"nothing is kept for container {given.call.container_id}")
        given.find(conf.type).check(given.with_conf(conf))

    def status(self, given: Invocation) -> None:
        """Look for the daemon's file."""
        options = given.conf.read(read)
        if options.subnet_file not in given.call.disk:
            raise CniError(
                f"open {options.subnet_file}: no such file or directory", ErrorCode.PLUGIN_NOT_AVAILABLE
            )

    def gc(self, given: Invocation) -> None:
        """Do nothing: this plugin collects nothing."""


def _kept(given: Invocation, path: str) -> PluginConf | None:
    kept = given.call.disk.kept(path)
    if kept is None:
        return None
    if isinstance(kept, _Rendered):
        return kept.conf
    values: Json = json.loads(str(kept))
    kind = values.get("type") if isinstance(values, dict) else None
    if not isinstance(values, dict) or not isinstance(kind, str):
        raise CniError(f"failed to parse netconf in {path}", ErrorCode.DECODING_FAILURE)
    return PluginConf(kind, values)


def _render(given: Invocation, options: Options) -> _Rendered:
    """Return the configuration to delegate; the same file gives the same object."""
    env = given.call.disk[options.subnet_file]
    key = (env, given.network.name)
    found = options.rendered.get(key)
    if found is None:
        values = _merge(given, options, _parse_env(env))
        found = options.rendered[key] = _Rendered(PluginConf(str(values["type"]), values), json.dumps(values))
    return found


def _merge(given: Invocation, options: Options, env: dict[str, str]) -> dict[str, Json]:
    values: dict[str, Json] = {"name": given.network.name, **options.delegate}
    values.setdefault("type", "bridge")
    values.setdefault("ipMasq", not _truth(env["FLANNEL_IPMASQ"]))
    values.setdefault("mtu", int(env["FLANNEL_MTU"]))
    if values["type"] == "bridge":
        values.setdefault("isGateway", True)
    values["cniVersion"] = given.network.cni_version
    try:
        networks = [str(Prefix.parse(each, strict=False)) for each in env["FLANNEL_NETWORK"].split(",")]
        subnet = str(Interface.parse(env["FLANNEL_SUBNET"]).prefix)
    except AddressError as error:
        raise CniError(f"loadFlannelSubnetEnv failed: {error}") from None
    ipam: dict[str, Json] = {"type": "host-local", **options.ipam, "ranges": [[{"subnet": subnet}]]}
    routes = ipam.get("routes")
    more: list[Json] = [{"dst": network} for network in networks]
    ipam["routes"] = [*(routes if isinstance(routes, list) else []), *more]
    values["ipam"] = ipam
    return values


def _parse_env(text: str) -> dict[str, str]:
    """Read the daemon's file.

    Raises:
        CniError: a line is missing, or no number.
    """
    env = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            env[key.strip()] = value.strip()
    missing = [key for key in _REQUIRED if not env.get(key)]
    if missing:
        raise CniError(f"loadFlannelSubnetEnv failed: {SUBNET_FILE} is missing {', '.join(missing)}")
    if not env["FLANNEL_MTU"].isdigit():
        raise CniError(f"loadFlannelSubnetEnv failed: {env['FLANNEL_MTU']!r} is no MTU")
    return env


def _truth(text: str) -> bool:
    try:
        return _TRUTHS[text.lower()]
    except KeyError:
        raise CniError(f"loadFlannelSubnetEnv failed: {text!r} is neither true nor false") from None
