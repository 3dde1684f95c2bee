# SPDX-License-Identifier: GPL-2.0-only
"""The keys of a `Fabric` document, a module each: the reader of the key, and what it says.

external, links, switches, routers, filters     machines and cables
vpc                                             a cloud's network instead of those
load_balancers                                  what stands in front of Services
spec                                            all of it together
"""

from __future__ import annotations
