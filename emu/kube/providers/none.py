# SPDX-License-Identifier: GPL-2.0-only
"""No provider: nobody configures pods, and nodes stay NotReady, as in a cluster just made by kubeadm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import attrs

from emu.kube.providers.provider import OptionsError, options
from emu.kube.providers.written import Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.providers.provider import NodeNetwork


@attrs.frozen
class NoProvider:
    """It writes nothing."""

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it; there are no options.

        Raises:
            OptionsError: some are given.
        """
        fields = options(values, ())
        if fields.faults:
            raise OptionsError("none", fields.faults)
        return cls()

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return nothing."""
        del node, nodes
        return Written()
