# SPDX-License-Identifier: GPL-2.0-only
"""Running a list of plugins, as a container runtime does by libcni.

The final result of ADD is kept in `/var/lib/cni/results`, from where CHECK and
DEL take it. Source: CNI specification 1.1.0, section 3; libcni's api.go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.cni.call import NOTHING, Invocation
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.netconf import VERSIONS
from emu.kube.cni.plugins import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.kube.cni.call import Call, Plugin
    from emu.kube.cni.fields import Json
    from emu.kube.cni.netconf import NetConfList, PluginConf
    from emu.kube.cni.result import Result

RESULTS: Final = "/var/lib/cni/results"
_SINCE_CHECK: Final = VERSIONS.index("0.4.0")
_SINCE_GC: Final = VERSIONS.index("1.1.0")


@attrs.frozen
class _Kept:
    """The final result of an ADD; as text, the file that libcni writes."""

    result: Result
    network: str
    version: str
    container_id: str
    ifname: str

    def __str__(self) -> str:
        return json.dumps(
            {
                "kind": "cniCacheV1",
                "containerId": self.container_id,
                "ifName": self.ifname,
                "networkName": self.network,
                "result": self.result.as_json(self.version),
            }
        )


def add(conf: NetConfList, call: Call, *, plugins: Mapping[str, Plugin] = PLUGINS) -> Result:
    """Attach a container to the network `conf` and return the last plugin's result.

    Args:
        conf: the network.
        call: which container, and what the runtime has for it.
        plugins: what there is in `/opt/cni/bin`.

    Raises:
        CniError: a plugin failed, and what those before it did is left to DEL;
            or `call` is wrong (code 4).
    """
    call.require_sandbox()
    _check_call(call)
    result: Result | None = None
    for plugin in conf.plugins:
        given = Invocation(call, conf, plugin, _runtime(plugin, call), result, plugins)
        result = given.find(plugin.type).add(given)
    assert result is not None
    call.disk.keep(
        _place(conf, call), _Kept(result, conf.name, conf.cni_version, call.container_id, call.ifname)
    )
    return result


def delete(conf: NetConfList, call: Call, *, plugins: Mapping[str, Plugin] = PLUGINS) -> None:
    """Detach a container: the plugins are asked backwards. Twice is the same as once.

    Raises:
        CniError: a plugin failed; those before it in the list were not asked.
    """
    _check_call(call)
    place = _place(conf, call)
    previous = _cached(call, place) if VERSIONS.index(conf.cni_version) >= _SINCE_CHECK else None
    for plugin in reversed(conf.plugins):
        given = Invocation(call, conf, plugin, _runtime(plugin, call), previous, plugins)
        given.find(plugin.type).delete(given)
    if call.disk.kept(place) is not None:
        del call.disk[place]


def check(conf: NetConfList, call: Call, *, plugins: Mapping[str, Plugin] = PLUGINS) -> None:
    """Look whether an attachment is as ADD left it.

    Raises:
        CniError: it is not; or the version has no CHECK.
    """
    if VERSIONS.index(conf.cni_version) < _SINCE_CHECK:
        raise CniError(
            f'configuration version "{conf.cni_version}" does not support CHECK command',
            ErrorCode.INCOMPATIBLE_VERSION,
        )
    if conf.disable_check:
        return
    call.require_sandbox()
    _check_call(call)
    previous = _cached(call, _place(conf, call))
    if previous is None:
        raise CniError(f'no result of network "{conf.name}" for container {call.container_id} is cached')
    for plugin in conf.plugins:
        given = Invocation(call, conf, plugin, _runtime(plugin, call), previous, plugins)
        given.find(plugin.type).check(given)


def status(conf: NetConfList, call: Call, *, plugins: Mapping[str, Plugin] = PLUGINS) -> None:
    """Ask the plugins whether they can serve an ADD; versions before 1.1.0 always say they can.

    Raises:
        CniError: one cannot (codes 50 and 51).
    """
    if VERSIONS.index(conf.cni_version) < _SINCE_GC:
        return
    for plugin in conf.plugins:
        given = Invocation(call, conf, plugin, NOTHING, None, plugins)
        given.find(plugin.type).status(given)


def gc(
    conf: NetConfList,
    call: Call,
    valid: Iterable[tuple[str, str]],
    *,
    plugins: Mapping[str, Plugin] = PLUGINS,
) -> None:
    """Give back what is held for attachments that are no longer `valid`.

    For each that has a cached result DEL is asked first, as libcni does; then,
    from version 1.1.0 on, GC, if the list does not forbid it.

    Args:
        conf: the network.
        call: the node; container and device do not matter.
        valid: container ids and names of devices.
        plugins: what there is in `/opt/cni/bin`.

    Raises:
        CniError: plugins failed; the others were asked all the same.
    """
    attachments = tuple(valid)
    failures: list[str] = []
    kept = [call.disk.kept(path) for path in tuple(call.disk) if path.startswith(f"{RESULTS}/")]
    for each in kept:
        if not isinstance(each, _Kept) or each.network != conf.name:
            continue
        if (each.container_id, each.ifname) not in attachments:
            stale = attrs.evolve(
                call, sandbox=None, container_id=each.container_id, ifname=each.ifname, netns=""
            )
            try:
                delete(conf, stale, plugins=plugins)
            except CniError as error:
                failures.append(str(error))
    if VERSIONS.index(conf.cni_version) >= _SINCE_GC and not conf.disable_gc:
        failures += _collect(conf, call, attachments, plugins)
    if failures:
        raise CniError("\n".join(failures))


def _collect(
    conf: NetConfList, call: Call, valid: Sequence[tuple[str, str]], plugins: Mapping[str, Plugin]
) -> list[str]:
    failures = []
    for plugin in conf.plugins:
        given = Invocation(call, conf, plugin, NOTHING, None, plugins, valid)
        try:
            given.find(plugin.type).gc(given)
        except CniError as error:
            failures.append(str(error))
    return failures


def version() -> dict[str, Json]:
    """Return what any of the plugins answers to VERSION."""
    return {"cniVersion": VERSIONS[-1], "supportedVersions": list(VERSIONS)}


def _runtime(plugin: PluginConf, call: Call) -> Mapping[str, Json]:
    """Return the part of what the runtime has that the plugin asks for."""
    if not plugin.capabilities or not call.capabilities:
        return NOTHING
    return {key: value for key, value in call.capabilities.items() if key in plugin.capabilities}


def _check_call(call: Call) -> None:
    """Source: pkg/utils of containernetworking/cni, `ValidateContainerID`, `ValidateInterfaceName`."""
    name = call.ifname
    if not call.container_id:
        raise CniError("missing containerID", ErrorCode.UNKNOWN_CONTAINER)
    if not name:
        raise CniError("interface name is empty", ErrorCode.INVALID_ENVIRONMENT)
    if len(name) > 15:
        raise CniError("interface name is too long: interface name should be less than 16 characters", 4)
    if name in {".", ".."}:
        raise CniError("interface name is . or ..", ErrorCode.INVALID_ENVIRONMENT)
    if any(each in "/:" or each.isspace() for each in name):
        raise CniError("interface name contains / or : or whitespace characters", 4)


def _place(conf: NetConfList, call: Call) -> str:
    return f"{RESULTS}/{conf.name}-{call.container_id}-{call.ifname}"


def _cached(call: Call, place: str) -> Result | None:
    kept = call.disk.kept(place)
    return kept.result if isinstance(kept, _Kept) else None
