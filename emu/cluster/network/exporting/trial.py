# SPDX-License-Identifier: GPL-2.0-only
"""A document as far as it goes, built, to be compared with the network that it is made from.

Whatever commands are added to the document are run here, too: the kernel
decides whether they do what they are meant to.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from emu.apps import commands
from emu.cluster.network.actions import Exec
from emu.cluster.network.build import build
from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.cluster.network.importing.draft import Draft
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace


@attrs.define(eq=False)
class Trial:
    """One namespace of a document that was built.

    Attributes:
        ns: its name in the document.
        original: what it is made from.
        copy: what the document makes.
        draft: the document.
    """

    ns: str
    original: Namespace
    copy: Namespace
    draft: Draft
    _fabric: Fabric

    def run(self, what: str, *argv: object) -> None:
        """Add a command, unless the kernel refuses it: then `what` is left out."""
        words = tuple(map(str, argv))
        try:
            self._fabric.call(self.copy, partial(commands.execute, argv=words))
        except CommandError as error:
            reason = (str(error).splitlines() or ["is refused"])[-1]
            self.draft.left_out.append(f"{self.ns}: {what} ({reason:.200})")
        else:
            self.draft.do("exec", Exec(self.ns, words))

    @property
    def devices(self) -> Iterator[tuple[Device, Device]]:
        """The devices that the document has, each as it is and as the document makes it."""
        for name, copy in self.copy.devices.items():
            yield self.original.devices[name], copy

    @property
    def alike(self) -> Iterator[tuple[Device, Device]]:
        """Those of them that are both up or both down: all but the loopback of a switch, in the end."""
        return (pair for pair in self.devices if pair[0].up == pair[1].up)


def trials(originals: Sequence[Namespace], names: Mapping[str, str], draft: Draft) -> list[Trial]:
    """Build what `draft` has, and return its namespaces beside those that they are made from."""
    fabric = build(draft.document(""))
    return [
        Trial(names[net.name], net, fabric.namespace(names[net.name]), draft, fabric) for net in originals
    ]
