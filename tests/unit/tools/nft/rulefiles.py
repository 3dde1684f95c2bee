# SPDX-License-Identifier: GPL-2.0-only
"""The samples of this folder: rules as they are written, and as nft 1.0.6 lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "samples"
FILES: Final = sorted(path.stem for path in FOLDER.glob("*.nft"))
RULE_FILES: Final = sorted(path.stem for path in FOLDER.glob("*.rules"))


class Sample(NamedTuple):
    """A rule, the table it stands in, and how it is listed."""

    family: str
    head: str
    written: str
    listed: list[str]

    @property
    def text(self) -> str:
        """A file with the rule in it."""
        return f"table {self.family} t {{\n{self.head}{self.written}\n}}\n}}\n"


def samples(name: str) -> list[Sample]:
    """Return the rules of a file."""
    first, *lines = (FOLDER / f"{name}.rules").read_text(encoding="utf-8").splitlines()
    family, kind = first.removeprefix("# table ").split("; type ")
    sets = "".join(f"{line[2:]}\n" for line in lines if line.startswith("% "))
    head = f"{sets}chain o {{\n}}\nchain c {{\ntype {kind};\n"
    found: list[Sample] = []
    for line in lines:
        if line.startswith("\t"):
            found[-1].listed.append(line)
        elif not line.startswith("% "):
            found.append(Sample(family, head, line, []))
    return found
