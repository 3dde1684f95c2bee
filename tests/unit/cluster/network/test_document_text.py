# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.cluster.network import document_text
from emu.cluster.network.reader import is_network_document, load_network, read_network
from emu.document import load, parse

if TYPE_CHECKING:
    from emu.cluster.network.model import NetworkDocument, RulesFile

ROOT: Final = Path(__file__).parents[4]
FILES: Final = sorted(
    path
    for folder in ("topologies", "tests/golden/scenarios", "tests/golden/own")
    for path in (ROOT / folder).rglob("*.yaml")
    if len(load(path)) == 1 and is_network_document(load(path)[0].value)
)


def with_bare_names(document: NetworkDocument, folder: Path) -> NetworkDocument:
    """Return `document` with the names of its rules files as it gave them."""

    def bare(files: object) -> dict[str, RulesFile]:
        assert isinstance(files, dict)
        return {
            ns: attrs.evolve(each, path=str(Path(each.path).relative_to(folder)))
            for ns, each in files.items()
        }

    return attrs.evolve(
        document,
        file="",
        ipset=bare(document.ipset),
        iptables=bare(document.iptables),
        nft=bare(document.nft),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_written_is_read_as_it_was_meant(path: Path) -> None:
    """Every document in the repository is the same after it was written and read again."""
    document = with_bare_names(load_network(path), path.parent)
    (parsed,) = parse(document_text.render(document, ["a comment"]), "again.yaml")
    assert with_bare_names(read_network(parsed, path.parent), path.parent) == document
