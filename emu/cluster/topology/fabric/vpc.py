# SPDX-License-Identifier: GPL-2.0-only
"""The key `vpc`: a cloud's network: subnets, route tables, gateways, security groups."""

from __future__ import annotations

from emu.cluster.vpc.reader import vpc
from emu.cluster.vpc.spec import VpcSpec

__all__ = ["VpcSpec", "vpc"]
