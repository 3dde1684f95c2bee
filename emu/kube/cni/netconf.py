# SPDX-License-Identifier: GPL-2.0-only
"""Network configurations: lists of plugins, as they stand in `/etc/cni/net.d`.

Source: CNI specification 1.1.0, section 1.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

import attrs

from emu.errors import DocumentError, Fault
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.cni.fields import Json

T = TypeVar("T")

VERSIONS: Final = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""The versions of the specification that are understood."""

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_OLDEST: Final = "0.1.0"  # what a configuration that does not say is written for


@attrs.frozen(eq=False)
class PluginConf:
    """One plugin's part of a list.

    Attributes:
        type: the plugin's name.
        options: the object as it was written.
        capabilities: what it wants of the runtime, where that has it.
    """

    type: str
    options: Mapping[str, Json]
    capabilities: frozenset[str] = frozenset()
    _read: dict[object, object] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def ipam(self) -> str:
        """The plugin that gives the addresses; empty for none."""
        ipam = self.options.get("ipam")
        found = ipam.get("type") if isinstance(ipam, dict) else None
        return found if isinstance(found, str) else ""

    def read(self, reader: Callable[[Fields], T]) -> T:
        """Return what `reader` makes of the options; it is asked once.

        Raises:
            CniError: it finds faults (code 7); all of them are told.
        """
        found = self._read.get(reader)
        if found is None:
            fields = Fields(self.options)
            found = reader(fields)
            if fields.faults:
                raise CniError(
                    f"failed to load netconf: {'; '.join(map(str, fields.faults))}",
                    ErrorCode.INVALID_NETWORK_CONFIG,
                )
            self._read[reader] = found
        return cast("T", found)


@attrs.frozen(eq=False)
class NetConfList:
    """A network configuration.

    Attributes:
        cni_version: the version of the specification that plugins shall speak.
        name: of the network.
        plugins: in the order of ADD.
        disable_check: CHECK is not to be asked.
        disable_gc: GC is not to be asked.
    """

    cni_version: str
    name: str
    plugins: tuple[PluginConf, ...]
    disable_check: bool = False
    disable_gc: bool = False

    @classmethod
    def parse(cls, text: str, file: str = "<string>") -> Self:
        """Read a list, or a lone plugin (a `.conf` file), from JSON.

        Raises:
            DocumentError: it is wrong; all faults are told.
        """
        try:
            value: Json = json.loads(text)
        except json.JSONDecodeError as error:
            raise DocumentError([Fault(file, error.lineno, "$", f"no JSON: {error.msg}")]) from None
        if not isinstance(value, dict):
            raise DocumentError([Fault(file, 1, "$", "must be an object")])
        return cls.of(value, file)

    @classmethod
    def of(cls, value: Mapping[str, Json], file: str = "<string>") -> Self:
        """Return the configuration that an object describes.

        Raises:
            DocumentError: it is wrong; all faults are told.
        """
        fields = Fields(value)
        version = fields.text("cniVersion", _OLDEST)
        further = fields.texts("cniVersions")
        if version not in VERSIONS and not further:
            fields.wrong("cniVersion", f"{version!r} is no version that is known: {', '.join(VERSIONS)}")
        known = [each for each in (*further, version) if each in VERSIONS]
        name = fields.text("name")
        if not _NAME.fullmatch(name):
            must = "must be letters, digits, '_', '.' and '-', the first a letter or digit"
            fields.wrong("name", f"{name!r} {must}")
        if "plugins" in value:
            plugins = tuple(_plugin(each) for each in fields.objects("plugins"))
            if not fields.items("plugins"):
                fields.wrong("plugins", "there is no plugin")
        else:
            plugins = (_plugin(fields),)
        found = cls(
            max(known, key=VERSIONS.index, default=version),
            name,
            plugins,
            fields.flag("disableCheck"),
            fields.flag("disableGC"),
        )
        if fields.faults:
            # Python's JSON reader does not tell where a value stands: line 1 is the file's
            raise DocumentError(Fault(file, 1, wrong.path, wrong.message) for wrong in fields.faults)
        return found


def _plugin(fields: Fields) -> PluginConf:
    kind = fields.text("type")
    if not kind:
        fields.wrong("type", "is missing: the plugin's name")
    capabilities = fields.object("capabilities")
    wanted = frozenset(key for key in capabilities.values if capabilities.flag(key))
    if "ipam" in fields.values:
        ipam = fields.object("ipam")
        if ipam.values and not ipam.text("type"):
            ipam.wrong("type", "is missing: the plugin's name")
    return PluginConf(kind, fields.values, wanted)
