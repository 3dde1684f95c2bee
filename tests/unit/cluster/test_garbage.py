# SPDX-License-Identifier: GPL-2.0-only
"""The collector is out of the way while much is built, and back afterwards."""

from __future__ import annotations

import gc

import pytest

from emu.cluster.garbage import garbage_kept


def test_nothing_is_collected_meanwhile_and_again_afterwards() -> None:
    """The collector is off in the block and on behind it."""
    with garbage_kept():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Whoever has switched it off has a reason."""
    gc.disable()
    try:
        with garbage_kept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_is_on_again_after_a_failure() -> None:
    """A document with faults leaves nothing behind."""
    with pytest.raises(KeyError), garbage_kept():
        raise KeyError
    assert gc.isenabled()


def test_what_is_built_is_old_afterwards() -> None:
    """The next quick collection does not walk over it."""
    with garbage_kept():
        built = [[number] for number in range(1000)]
    young = {id(each) for each in gc.get_objects(generation=0)}
    assert not young & {id(each) for each in built}


def test_what_somebody_froze_stays_frozen() -> None:
    """Programs around ours may freeze what they hold."""
    gc.freeze()
    frozen = gc.get_freeze_count()
    try:
        with garbage_kept():
            pass
        assert gc.get_freeze_count() >= frozen
    finally:
        gc.unfreeze()
