# SPDX-License-Identifier: GPL-2.0-only
"""A cluster on a routed fabric, exported and built of real namespaces: its underlay is Linux, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.kernel import test_exported_clusters_on_linux as clusters
from tests.kernel.exported import run, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.exported import Exported

PLAIN: Final = "[{name: one, role: control-plane}, {name: two}]"
RACKS: Final = """
  - {name: one, role: control-plane, addresses: [10.1.1.11/24]}
  - {name: two, addresses: [10.1.2.11/24]}"""
FABRIC: Final = """
---
apiVersion: emu/v1
kind: Fabric
spec:
  switches: [{name: core}]
  routers:
  - name: tor-1
    interfaces: [{name: rack, addresses: [10.1.1.1/24], ports: [1]}, {name: core0, addresses: [10.0.0.1/24]}]
  - name: tor-2
    interfaces: [{name: rack, addresses: [10.1.2.1/24]}, {name: core0, addresses: [10.0.0.2/24], mtu: 1400}]
  links:
  - {endpoints: ["one:eth0", "tor-1:1"]}
  - {endpoints: ["two:eth0", "tor-2:rack"]}
  - {endpoints: ["tor-1:core0", "core:1"]}
  - {endpoints: ["tor-2:core0", "core:2"]}
"""


@pytest.fixture(scope="module", params=["{provider: kubenet}"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Two racks: one switches its ports together, the other has a port of the router."""
    folder = tmp_path_factory.mktemp("routed")
    text = (clusters.MANIFESTS % (request.param, "iptables")).replace(PLAIN, RACKS) + FABRIC
    cluster = start(folder, text)
    assert not cluster.warnings
    made = run(cluster, folder, clusters.steps(cluster), clusters.PORTS, clusters.COMMANDS)
    assert not [each for each in made.export.remarks.left_out if "tor" in each or "core" in each]
    return made


@pytest.mark.kernel
def test_linux_sends_the_frames_that_emu_sends(
    exported: Exported, record_property: Callable[[str, object], None]
) -> None:
    """At every device of nodes, pods, routers and the switch between them."""
    clusters.test_linux_sends_the_frames_that_emu_sends(exported, record_property)


@pytest.mark.kernel
def test_linux_has_the_tables_that_the_cluster_has(exported: Exported) -> None:
    """The ways that routers were told among them."""
    clusters.test_linux_has_the_tables_that_the_cluster_has(exported)
