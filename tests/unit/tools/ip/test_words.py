# SPDX-License-Identifier: GPL-2.0-only
"""Words of a command line: taken, shortened, complained of."""

from __future__ import annotations

import attrs
import pytest

from emu.errors import CommandError
from emu.tools.ip.options import Options, parse
from emu.tools.ip.words import Grammar, Option, Words, choose, garbage, is_short_for, text, yes


@attrs.define
class Dish:
    """Something to be ordered."""

    name: str = ""
    sauce: str = ""
    hot: bool = False


def _name(dish: Dish, word: str, _words: Words) -> None:
    if dish.name:
        raise garbage("name", word)
    dish.name = word


MENU = Grammar[Dish](
    "a dish",
    (Option(("sauce", "dip"), "sauce", text, short=True), Option(("hot",), "hot", yes)),
    _name,
    ("wine",),
)


def test_words_are_taken_in_their_order_and_then_there_are_none() -> None:
    """A missing word is what iproute2 calls an incomplete command line."""
    words = Words(["a", "b"])
    assert (words.peek(), words.take(), words.take(), bool(words), words.peek()) == ("a", "a", "b", False, "")
    with pytest.raises(CommandError) as caught:
        words.take()
    assert (str(caught.value), caught.value.status) == (
        'Command line is not complete. Try option "help"',
        255,
    )


def test_the_first_known_word_that_begins_so_is_meant() -> None:
    """Nothing at all is short for nothing."""
    known = ("address", "route", "rule")
    assert choose("r", known) == "route"
    assert choose("ru", known) == "rule"
    assert choose("rules", known) is None
    assert choose("", known) is None
    assert is_short_for("dip", "sauce", "dip")
    assert not is_short_for("dips", "sauce", "dip")


@pytest.mark.parametrize(
    ("line", "dish"),
    [
        ("", Dish()),
        ("pie", Dish("pie")),
        ("sauce mint pie hot", Dish("pie", "mint", hot=True)),
        ("pie sa mint", Dish("pie", "mint")),
        ("di mint", Dish("", "mint")),
        ("pie sauce mint dip garlic", Dish("pie", "garlic")),
        ("ho", Dish("ho")),
    ],
)
def test_options_come_in_any_order_and_only_some_may_be_shortened(line: str, dish: Dish) -> None:
    """What is said twice counts as it was said last."""
    assert MENU.fill(Dish(), Words(line.split())) == dish


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pie cake", 'Error: either "name" is duplicate, or "cake" is a garbage.'),
        ("pie sauce", 'Command line is not complete. Try option "help"'),
        ("pie wine red", "wine of a dish is not modelled"),
    ],
)
def test_a_word_too_many_or_too_few_is_refused(line: str, message: str) -> None:
    """What Linux has and emu does not is named."""
    with pytest.raises(CommandError) as caught:
        MENU.fill(Dish(), Words(line.split()))
    assert (str(caught.value), caught.value.status) == (message, 255)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("", Options()),
        ("-j link", Options(json=True)),
        ("-json -pretty link", Options(json=True, pretty=True)),
        ("--json -p", Options(json=True, pretty=True)),
        ("-d -s -o", Options(details=True, statistics=True, oneline=True)),
        ("-stats -br -4", Options(statistics=True, brief=True, family=4)),
        ("-6", Options(family=6)),
        ("-c -N", Options()),
    ],
)
def test_options_in_front_of_the_object_may_be_shortened(line: str, options: Options) -> None:
    """What follows them is left."""
    words = Words(line.split())
    assert parse(words, "ip") == options
    assert not words.peek().startswith("-")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-nosuch link", 'Option "-nosuch" is unknown, try "ip -help".'),
        ("-n pod1 link", "ip -n is not modelled"),
        ("-b file", "ip -b is not modelled"),
        ("-s -s link", "ip -s -s is not modelled"),
    ],
)
def test_options_that_do_not_exist_are_refused(line: str, message: str) -> None:
    """So are those that are not modelled: another namespace, commands from a file."""
    with pytest.raises(CommandError, match=message):
        parse(Words(line.split()), "ip")
