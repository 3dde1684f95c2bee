# SPDX-License-Identifier: GPL-2.0-only
"""What holds of an Ingress with TLS in a cluster: two runs are alike, and a question changes nothing."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import emu
from emu import lab
from emu.apps import console
from emu.cluster.cluster import Cluster
from emu.fabric.held import Held
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, later
from emu.testing.whole_state import whole_state

if TYPE_CHECKING:
    from collections.abc import Sequence

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies" / "ingress.yaml"
PAGES: Final = (
    "https://shop.example/",
    "https://shop.example/cart",
    "https://blog.shop.example/x",
    "http://shop.example/",
)


def cluster() -> Cluster:
    """Return a cluster with two hosts and TLS."""
    found = emu.load(TOPOLOGY)
    assert isinstance(found, Cluster)
    return found


def run(file: Path) -> list[tuple[int, int, int, str]]:
    """Fetch some pages, write what was captured, and return what of it is no secret."""
    made = cluster()
    with made.capture("any") as recorded:
        for page in PAGES:
            made.external("laptop").execute(["curl", "-s", page])
    recorded.write(file)
    return [
        (each.time_ns, each.point, len(each.octets), each.direction.name) for each in recorded.capture.frames
    ]


def decrypted(file: Path) -> str:
    """Return the HTTP that tshark reads in a capture, TLS or not."""
    fields = (
        "frame.number",
        "http.request.full_uri",
        "http.response.code",
        "http.file_data",
        "http.request.line",
    )
    command = ["tshark", "-r", str(file), "-Y", "http", "-T", "fields", *_each(fields)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _each(fields: Sequence[str]) -> list[str]:
    return [word for field in fields for word in ("-e", field)]


@pytest.mark.tshark
def test_two_runs_of_a_seed_differ_in_nothing_but_keys(tmp_path: Path) -> None:
    """Order, instants, places and lengths of all frames, and what is inside TLS."""
    files = [tmp_path / name for name in ("one.pcapng", "two.pcapng")]
    assert run(files[0]) == run(files[1])
    told = decrypted(files[0])
    assert told == decrypted(files[1])
    assert "https://shop.example/cart" in told
    assert files[0].read_bytes() != files[1].read_bytes(), "OpenSSL's keys are its own"


def test_a_trial_with_tls_leaves_everything_as_it_was() -> None:
    """A page is fetched in a held world, again and again, through a proxy that keeps connections."""
    made = cluster()
    laptop = made.external("laptop")
    for page in PAGES:
        laptop.execute(["curl", "-s", page])
    made.settle()
    held, outcomes = Held(made.fabric), set()
    with held.trial(DrawnChoice(random.Random(1))):
        made.fabric.spawn(laptop.net, console.run(["true"], laptop.userland))
    before = whole_state(made.fabric)
    for _ in range(2):
        with held.trial(DrawnChoice(random.Random(1))):
            words = ["curl", "-s", "-w", "%{local_port}", "https://shop.example/cart"]
            process = made.fabric.spawn(laptop.net, console.run(words, laptop.userland))
            made.fabric.loop.run_until(later(made.fabric.loop.now, 20 * SECOND))
            outcomes.add(process.result)
        assert whole_state(made.fabric) == before
    assert [each.stdout[:8] for each in outcomes] == ["the cart"]
    assert laptop.execute(["curl", "-s", "https://shop.example/"]).stdout == "the shop"


def test_verdicts_of_ways_to_a_proxy_are_found_in_place() -> None:
    """The controller's ports are asked like any others, though connections stand open there."""
    made = lab.load(str(TOPOLOGY))
    assert isinstance(made, lab.Cluster)
    made.external("laptop").execute(["curl", "-s", "https://shop.example/"])
    assert made.flow("ext/laptop", "node/worker-2:80").verdict.word.value == "NEVER"
    before = whole_state(made.fabric)
    for port in (80, 443):
        assert made.flow("ext/laptop", f"node/worker-1:{port}").always
    assert (
        made.flow("ext/laptop", "svc/ingress-nginx/ingress-nginx-controller:443").verdict.word.value
        == "NEVER"
    )
    assert whole_state(made.fabric) == before
