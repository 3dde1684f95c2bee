# SPDX-License-Identifier: GPL-2.0-only
"""`python -m emu.verify.comparison FOLDER`: the page about the providers of a folder, on standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from emu.errors import EmuError
from emu.verify.comparison.measure import measure
from emu.verify.comparison.page import page

SHOP: Final = "shop.yaml"
"""What all clusters of the folder have."""


def written(folder: Path) -> str:
    """Return the page about the clusters in `folder`, which holds a shop for all of them.

    Raises:
        DocumentError: a file has faults.
    """
    shop = folder / SHOP
    clusters = sorted(each for each in folder.glob("*.yaml") if each != shop)
    return page(measure(each.stem, (each, shop)) for each in clusters)


def main(words: list[str]) -> int:
    """Print the page, or what is wrong, and return the exit status."""
    if len(words) != 1 or not (Path(words[0]) / SHOP).is_file():
        sys.stderr.write(f"python -m emu.verify.comparison FOLDER, which has {SHOP} and clusters\n")
        return 2
    try:
        sys.stdout.write(written(Path(words[0])))
    except EmuError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
