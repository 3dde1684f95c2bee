# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from pathlib import Path

import pytest

from emu.cluster.network.reader import load_network
from emu.cluster.network.results import folder_for_results, write_results
from emu.cluster.network.run import NetworkRun, Outcome
from emu.errors import OutputError
from emu.observe.capture_file import read_capture

LAB = """
namespaces: {a: , b: }
links:
- a: {ns: a, if: eth0, mac: 02:00:00:00:00:0a, addr: [10.0.0.1/24]}
  b: {ns: b, if: eth0.7, mac: 02:00:00:00:00:0b, addr: [10.0.0.2/24]}
captures: [b/eth0.7, a/eth0, a/lo]
actions:
- sleep: {seconds: 2}
- ping: {ns: a, dst: 10.0.0.2, count: 2, interval: 0.5}
- snapshot: {label: half}
"""


@pytest.fixture
def finished(tmp_path: Path) -> tuple[NetworkRun, Outcome]:
    """A run that is over."""
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    run = NetworkRun(load_network(path))
    return run, run.run()


def read(path: Path) -> dict[str, object]:
    """Return the content of a JSON file."""
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


class TestFiles:
    """What stands in each of them."""

    def test_captures_are_called_by_namespace_and_device(
        self, finished: tuple[NetworkRun, Outcome], tmp_path: Path
    ) -> None:
        """One for each, an empty one too, with nanoseconds."""
        write_results(*finished, tmp_path / "out")
        pcaps = {path.name: path for path in (tmp_path / "out/pcap").iterdir()}
        assert set(pcaps) == {"a.eth0.pcap", "b.eth0.7.pcap", "a.lo.pcap"}
        assert all(path.read_bytes()[:4] == bytes.fromhex("4d3cb2a1") for path in pcaps.values())
        counts = {}
        for name, path in pcaps.items():
            with path.open("rb") as stream:
                counts[name] = len(list(read_capture(stream)))
        assert counts == {"a.eth0.pcap": 6, "b.eth0.7.pcap": 6, "a.lo.pcap": 0}

    def test_times_count_from_the_first_frame(
        self, finished: tuple[NetworkRun, Outcome], tmp_path: Path
    ) -> None:
        """Of all captures, which are in the order of the document."""
        write_results(*finished, tmp_path / "out")
        times = read(tmp_path / "out/times.json")
        assert list(times) == ["b/eth0.7", "a/eth0", "a/lo"]
        assert times["a/eth0"] == {
            "t": [0.0, 0.0, 0.0, 0.0, 0.5, 0.5],
            "dir": ["out", "in", "out", "in", "out", "in"],
        }
        assert times["a/lo"] == {"t": [], "dir": []}

    def test_frames_are_as_many_as_their_times(
        self, finished: tuple[NetworkRun, Outcome], tmp_path: Path
    ) -> None:
        """In the same order, in canonical form."""
        write_results(*finished, tmp_path / "out")
        frames = read(tmp_path / "out/frames.json")["a/eth0"]
        assert isinstance(frames, list)
        kinds = [next(key for key in ("arp", "icmp") if key in frame) for frame in frames]
        assert kinds == ["arp", "arp", *["icmp"] * 4]

    def test_state_has_every_dump_and_results_every_outcome(
        self, finished: tuple[NetworkRun, Outcome], tmp_path: Path
    ) -> None:
        """A program reads back what the run gave."""
        run, outcome = finished
        write_results(run, outcome, tmp_path / "out")
        state = read(tmp_path / "out/state.json")
        assert list(state) == ["half", "end"]
        assert state == json.loads(json.dumps(outcome.dumps))
        assert json.loads((tmp_path / "out/results.json").read_text()) == outcome.results

    def test_are_for_people_as_well(self, finished: tuple[NetworkRun, Outcome], tmp_path: Path) -> None:
        """A frame is a line."""
        write_results(*finished, tmp_path / "out")
        lines = (tmp_path / "out/frames.json").read_text().splitlines()
        assert sum(line.lstrip().startswith('{"dir"') for line in lines) == 12

    def test_are_the_same_again(self, finished: tuple[NetworkRun, Outcome], tmp_path: Path) -> None:
        """To write is to change nothing."""
        for name in ("one", "two"):
            write_results(*finished, tmp_path / name)
        one, two = (
            {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
            for name in ("one", "two")
        )
        assert one == two


class TestFolder:
    """Where they are put."""

    def test_is_made_with_those_above_it(self, tmp_path: Path) -> None:
        """And stays if all goes well."""
        with folder_for_results(tmp_path / "a/b/c"):
            assert (tmp_path / "a/b/c").is_dir()
        assert (tmp_path / "a/b/c").is_dir()

    def test_is_taken_away_if_the_block_fails(self, tmp_path: Path) -> None:
        """As far as it was not there before."""
        (tmp_path / "a").mkdir()
        with pytest.raises(RuntimeError), folder_for_results(tmp_path / "a/b/c"):
            raise RuntimeError
        assert list((tmp_path / "a").iterdir()) == []

    def test_stays_if_there_is_something_in_it(self, tmp_path: Path) -> None:
        """Whoever put it there."""

        def fail(path: Path) -> None:
            path.touch()
            raise RuntimeError

        with pytest.raises(RuntimeError), folder_for_results(tmp_path / "a/b"):
            fail(tmp_path / "a/b/mine")
        assert (tmp_path / "a/b/mine").exists()

    @pytest.mark.parametrize("name", ["file", "file/below", "nul\0"])
    def test_has_to_be_one(self, tmp_path: Path, name: str) -> None:
        """The block is not begun."""
        (tmp_path / "file").touch()
        with pytest.raises(OutputError), folder_for_results(tmp_path / name):
            pytest.fail("begun")
        assert {path.name for path in tmp_path.iterdir()} == {"file"}

    def test_that_fills_up_is_as_it_was(
        self, finished: tuple[NetworkRun, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing of the new is there, and all of the old."""
        write_results(*finished, tmp_path / "out")
        before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.is_file()}

        def full(*_: object, **__: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match="out: No space left on device"):
            write_results(*finished, tmp_path / "out")
        after = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.is_file()}
        assert after == before
