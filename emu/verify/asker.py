# SPDX-License-Identifier: GPL-2.0-only
"""Asks one living emulation question after question, each from the same state, and leaves it as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.verify.verdict import judge

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.verify.verdict import Verdict, Witness


class Asker:
    """Answers questions about an emulation.

    Args:
        network: a cluster or a network; it is the same after each question.
    """

    def __init__(self, network: Emulation) -> None:
        self.network = network

    def judge(
        self, source: str, target: str, *, namespace: str = "default", witness: Witness | None = None
    ) -> Verdict:
        """Ask `target` from `source` on every branch of chance.

        Args:
            source: an end point that asks.
            target: an end point, with `:PORT` and `/PROTOCOL`.
            namespace: of names of Kubernetes without one.
            witness: called on each branch after its exchange, while tables are as the packets left them.

        Raises:
            EndPointError: an end point is wrong.
            UnknownNameError: it is not there. A name that DNS does not know
                is no error: nothing is delivered to it.
        """
        return judge(self.network.again, source, target, namespace=namespace, witness=witness)
