# SPDX-License-Identifier: GPL-2.0-only
"""Whether expectations are met: `FROM -> TO VERDICT [because CODE]`, asked with packets.

    line --parse--> Expectation --pairs--> who asks whom --Asker--> Finding

A line about many (`any pod`, a workload) holds for each pair of them. A NEVER that
a NetworkPolicy causes counts only if the same flow passes without the policies
(`denials`), and NO-NAT is looked for at every tap and in every table (`nat`).
"""

from __future__ import annotations

from emu.cluster.expectation import Expectation, parse_expectation
from emu.verify.expect.check import Checker
from emu.verify.expect.finding import Finding

__all__ = ["Checker", "Expectation", "Finding", "parse_expectation"]
