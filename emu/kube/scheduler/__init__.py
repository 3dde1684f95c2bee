# SPDX-License-Identifier: GPL-2.0-only
"""Which node a pod runs on.

        scheduler     whose turn it is; binding; pods that found no node
          cycle       one turn: filters, scores, a draw between equals
            plugins   the table of filters and scores
              filters, scores, spreading
          occupancy   nodes and what is on them, counted as it changes

`taints` and `node_affinity` are asked by others too.
"""

from emu.kube.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
