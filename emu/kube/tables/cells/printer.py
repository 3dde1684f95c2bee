# SPDX-License-Identifier: GPL-2.0-only
"""What a kind's table is: its columns, and the row of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kube.tables.world import World

Cells: TypeAlias = tuple["str | int", ...]

ALWAYS: Final = (1, 0)


@frozen
class Column:
    """A column; `is_wide` ones are shown on request, others from one version on or up to one."""

    name: str
    is_wide: bool = False
    since: tuple[int, int] = ALWAYS
    until: tuple[int, int] | None = None

    def is_shown(self, world: World) -> bool:
        """Return whether a table has the column."""
        return (
            (world.is_wide or not self.is_wide)
            and world.version >= self.since
            and (self.until is None or world.version <= self.until)
        )


@frozen
class Printer:
    """How one kind is printed: `row` gives a cell for each of `columns`, shown or not."""

    columns: tuple[Column, ...]
    row: Callable[[Any, World], Cells]


def columns(*names: str, wide: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Return columns of every version, those that are always shown first."""
    return (*map(Column, names), *(Column(name, is_wide=True) for name in wide))
