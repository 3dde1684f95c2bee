# SPDX-License-Identifier: GPL-2.0-only
"""The shape of the code, checked: layers, small modules, and documents that do not lie."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emu.tools.iptables.extensions import MATCHES, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "emu"

BELOW_PROGRAMS = {"wire", "sim", "kernel", "fabric", "tools"}
ALLOWED: dict[str, set[str]] = {
    "wire": set(),
    "sim": set(),
    "document": {"sim"},
    "kernel": {"wire", "sim"},
    "fabric": {"wire", "sim", "kernel"},
    "tools": {"wire", "sim", "kernel"},
    "observe": BELOW_PROGRAMS,
    "apps": BELOW_PROGRAMS,
    "kube": BELOW_PROGRAMS | {"apps", "document"},
    "cluster": BELOW_PROGRAMS | {"apps", "document", "kube", "observe"},
    "verify": BELOW_PROGRAMS | {"apps", "kube", "observe", "cluster"},
    "cli": BELOW_PROGRAMS | {"apps", "kube", "observe", "cluster", "verify", "lab"},
}
"""What each package may import, beside itself and `errors`. `testing` may import anything."""

MODULES = sorted(PACKAGE.rglob("*.py"))
DOCUMENTS = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


def relative(path: Path) -> str:
    """Return `path` as it is called in a test's name."""
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> str:
    """Return the text of a file of ours."""
    return path.read_text(encoding="utf-8")


def imported(module: Path) -> Iterator[str]:
    """Yield the dotted name of every module that `module` imports, wherever in it.

    Imports inside functions and for type checkers count too: who names a type of
    a layer knows that layer.
    """
    for node in ast.walk(ast.parse(read(module))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            base = str(node.module)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def packages(module: Path) -> set[str]:
    """Return the packages (and lone modules) of emu that `module` imports."""
    parts = (name.split(".") for name in imported(module))
    children = {path.stem for path in PACKAGE.iterdir()}
    return {part[1] for part in parts if part[0] == "emu" and len(part) > 1} & children


def purpose(text: str) -> str | None:
    """Return the docstring of a module."""
    return ast.get_docstring(ast.parse(text))


def called(module: Path) -> set[str]:
    """Return the plain names that `module` calls."""
    calls = (node.func for node in ast.walk(ast.parse(read(module))) if isinstance(node, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


def handled(module: Path) -> list[ast.expr | None]:
    """Return what each exception handler of `module` names, None for nothing."""
    nodes = ast.walk(ast.parse(read(module)))
    return [node.type for node in nodes if isinstance(node, ast.ExceptHandler)]


@pytest.mark.parametrize("package", ALLOWED)
def test_package_imports_only_the_layers_below_it(package: str) -> None:
    """No module of a layer reaches up or sideways."""
    for module in (PACKAGE / package).rglob("*.py"):
        strangers = packages(module) - ALLOWED[package] - {package, "errors"}
        assert not strangers, f"{relative(module)} imports {', '.join(sorted(strangers))}"


def test_every_package_is_in_the_table_of_layers() -> None:
    """A new package is placed before it is used."""
    found = {module.relative_to(PACKAGE).parts[0] for module in MODULES if module.parent != PACKAGE}
    assert found - {"testing", "topologies"} <= ALLOWED.keys()


def test_errors_imports_nothing_of_emu() -> None:
    """Everybody may import `errors`, so it stands on nothing."""
    assert packages(PACKAGE / "errors.py") == set()


def test_a_namespace_knows_no_event_loop() -> None:
    """`kernel` gets the time as an argument; only `fabric` turns effects into events."""
    for module in (PACKAGE / "kernel").rglob("*.py"):
        assert "emu.sim.loop" not in set(imported(module)), relative(module)


def test_nobody_imports_the_test_doubles() -> None:
    """`emu.testing` is for tests, ours and other people's."""
    for module in MODULES:
        if not module.is_relative_to(PACKAGE / "testing"):
            assert "testing" not in packages(module), relative(module)


def test_only_tests_ask_what_policies_mean() -> None:
    """Verdicts come from packets; the oracle shares nothing with what writes the rules that they meet."""
    oracle = "emu.kube.policy.meaning"
    for module in MODULES:
        if not module.is_relative_to(PACKAGE / "testing"):
            assert oracle not in set(imported(module)), relative(module)
    of_policies = {name for name in imported(PACKAGE / "kube/policy/meaning.py") if "policy" in name}
    assert of_policies == set()


def test_scapy_is_imported_in_one_module() -> None:
    """Its fields are untyped and its packets mutable: `wire/craft.py` keeps that in."""
    users = [
        relative(module)
        for module in MODULES
        if any(name.split(".")[0] == "scapy" for name in imported(module))
    ]
    assert users == ["emu/wire/craft.py"]


class TestEveryModule:
    """What each file of the package keeps to."""

    def test_opens_with_licence_and_purpose(self) -> None:
        """The SPDX line comes first, then a docstring."""
        spdx = "# SPDX-License-Identifier: GPL-2.0-only\n"
        bare = (m for m in MODULES if not read(m).startswith(spdx) or not purpose(read(m)))
        assert [relative(module) for module in bare] == []

    def test_is_short(self) -> None:
        """Four hundred lines at most: in a longer one is a second noun."""
        assert [relative(module) for module in MODULES if len(read(module).splitlines()) > 400] == []

    def test_prints_nothing(self) -> None:
        """Text reaches a terminal in `cli` alone."""
        silent = (module for module in MODULES if not module.is_relative_to(PACKAGE / "cli"))
        assert [relative(module) for module in silent if "print" in called(module)] == []

    def test_leaves_nothing_for_later(self) -> None:
        """There are no marks of unfinished work."""
        mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
        assert [relative(module) for module in MODULES if mark.search(read(module))] == []

    def test_names_what_it_catches(self) -> None:
        """No handler is bare."""
        assert [relative(module) for module in MODULES if None in handled(module)] == []


def test_links_of_the_documents_lead_somewhere() -> None:
    """Every relative link in a Markdown file names a file or folder that exists."""
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", read(document), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:|#", target):
                assert (document.parent / target.split("#")[0]).exists(), f"{relative(document)}: {target}"


def test_the_table_of_places_names_places_that_exist() -> None:
    """*Where does ... happen?* in ARCHITECTURE.md leads to files, and to what is in them.

    A place is written `path` or `path:name`; the name is defined in that file.
    """
    text = read(ROOT / "ARCHITECTURE.md")
    _, found, section = text.partition("## Where does ... happen?")
    assert found
    places = re.findall(r"`((?:emu|tests|topologies|docs)/[^`]*)`", section)
    assert places
    for place in places:
        path, _, name = place.partition(":")
        assert (ROOT / path).exists(), place
        if name:
            assert re.search(rf"^\s*(?:def|class) {name}\b|^{name}\b", read(ROOT / path), re.MULTILINE), place


@pytest.mark.parametrize(("row", "names"), [("matches", MATCHES), ("targets", TARGETS)])
def test_readme_lists_what_rules_may_ask(row: str, names: Mapping[str, str]) -> None:
    """Every match and target that is modelled, and no other, stands under *yes*."""
    cells = re.search(rf"^\| {row} \| ([^|]+) \|", read(ROOT / "README.md"), re.MULTILINE)
    assert cells is not None
    listed = {word.strip() for word in cells[1].split(",")}
    assert listed - {"ACCEPT", "DROP", "RETURN", "jumps", "gotos"} == set(names)
