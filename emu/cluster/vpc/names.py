# SPDX-License-Identifier: GPL-2.0-only
"""How the namespaces of a VPC are called."""

from __future__ import annotations

from typing import Final

ROUTER: Final = "vpc/router"
INTERNET_GATEWAY: Final = "vpc/internet-gateway"
NAT_GATEWAY: Final = "vpc/nat-gateway"
RESOLVER: Final = "vpc/resolver"
INTERNET: Final = "router"
"""What hosts outside hang on: as with other underlays."""
