# SPDX-License-Identifier: GPL-2.0-only
"""Who is meant by the names in links and filters, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import DocumentError, Fault, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from emu.cluster.topology.fabric.links import EndSpec, LinkSpec
    from emu.cluster.topology.fabric.routers import RouterSpec
    from emu.cluster.topology.fabric.spec import FabricSpec
    from emu.cluster.topology.fabric.switches import SwitchSpec

SWITCH: Final = "underlay"
"""The switch of machines that no link names."""

ROUTER: Final = "router"
"""The router where documents name none."""

EXTERNAL: Final = "ext/"
_NO_SPANNING_TREE: Final = "no spanning tree is modelled: a frame would go round for ever"


@attrs.define(eq=False)
class Places:
    """The machines of a fabric, by the names that documents give them.

    Args:
        spec: what the documents say.
        nodes: the names of the nodes.

    Attributes:
        switches: all of them in the order in which they are named, those that
            links alone name behind the others.
        routers: those that are named, else `router`.

    Raises:
        DocumentError: names are taken twice, or lead nowhere; all are told.
    """

    spec: FabricSpec
    nodes: Sequence[str]
    switches: tuple[str, ...] = attrs.field(init=False, default=())
    routers: tuple[str, ...] = attrs.field(init=False, default=())
    _faults: list[Fault] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.routers = tuple(each.name for each in self.spec.routers) or (ROUTER,)
        named = dict.fromkeys(each.name for each in self.spec.switches)
        self._check_names()
        known = {*self.nodes, *self.routers, *named}
        ends = [(each, end.machine) for each in self.spec.links for end in each.ends]
        implied = [name for _, name in ends if name and name not in known and not name.startswith(EXTERNAL)]
        self.switches = (*named, *dict.fromkeys(implied))
        self._check_links()
        self._check_loops()
        self._check_filters()
        if self._faults:
            raise DocumentError(self._faults)

    @property
    def home(self) -> str:
        """The switch where machines hang that no link names, and that are in no router's subnet."""
        return self.switches[0] if self.switches else SWITCH

    def link_of(self, machine: str, device: str) -> tuple[LinkSpec, EndSpec] | None:
        """Return the cable in a device that a document names, and its other end; None if it names none.

        A machine that a link names without a device means its `eth0`.
        """
        for each in self.spec.links:
            for end, other in (each.ends, each.ends[::-1]):
                if end.machine == machine and (end.device or "eth0") == device:
                    return each, other
        return None

    def between(self) -> Iterator[LinkSpec]:
        """Yield the cables between switches and routers."""
        inner = {*self.switches, *self.routers}
        return (each for each in self.spec.links if all(end.machine in inner for end in each.ends))

    # --- what is wrong ---

    def _fault(self, where: object, words: str) -> None:
        file, line = getattr(where, "file", ""), getattr(where, "line", 0)
        self._faults.append(Fault(file or "<fabric>", line or 1, "$", words))

    def _check_names(self) -> None:
        taken = set(self.nodes)
        named: list[RouterSpec | SwitchSpec] = [*self.spec.routers, *self.spec.switches]
        for each in named:
            if each.name in taken:
                self._fault(each, f"{each.name} is the name of something else already")
            taken.add(each.name)

    def _check_links(self) -> None:
        used: set[tuple[str, str]] = set()
        hosts = {f"{EXTERNAL}{each.name}" for each in self.spec.external} | {f"{EXTERNAL}resolver"}
        machines = {*self.nodes, *hosts}
        for each in self.spec.links:
            for end in each.ends:
                if end.machine.startswith(EXTERNAL) and end.machine not in hosts and self.spec.external:
                    self._fault(each, f"there is no {end.machine}{did_you_mean(end.machine, hosts)}")
                device = end.device or ("eth0" if end.machine in machines else "")
                if device and (end.machine, device) in used:
                    self._fault(each, f"{end} has a cable already")
                used.add((end.machine, device))
                self._check_dead_end(each, end.machine, machines)
            if all(end.machine in machines for end in each.ends):
                self._fault(
                    each, f"{each.ends[0]} and {each.ends[1]}: a switch or a router has to be between"
                )

    def _check_loops(self) -> None:
        """Refuse links that close a loop of switches: no spanning tree would break it.

        A link that is down closes none as long as nobody takes it up.
        """
        leads: dict[str, str] = {}

        def top(name: str) -> str:
            while name in leads:
                name = leads[name]
            return name

        for each in self.spec.links:
            one, other = (self._segment_of(end) for end in each.ends)
            if not one or not other or each.is_down:
                continue
            if top(one) == top(other):
                ends = f"{each.ends[0]} and {each.ends[1]}"
                self._fault(each, f"{ends} are connected already: it closes a loop ({_NO_SPANNING_TREE})")
            else:
                leads[top(one)] = top(other)

    def _segment_of(self, end: EndSpec) -> str:
        """Return what switches frames at an end of a link; empty where they end, as at nodes."""
        if end.machine in self.switches:
            return end.machine
        for router in self.spec.routers:
            for each in router.interfaces if router.name == end.machine else ():
                if end.device and end.device in (each.ports or ()):
                    return f"{router.name}:{each.name}"
        return ""

    def _check_dead_end(self, link: LinkSpec, name: str, machines: Collection[str]) -> None:
        """Refuse a switch that a single link makes up, and that is called almost as a machine is."""
        is_declared = name in self.routers or any(each.name == name for each in self.spec.switches)
        if not name or is_declared or name in machines or name.startswith(EXTERNAL):
            return
        cables = sum(end.machine == name for each in self.spec.links for end in each.ends)
        hint = did_you_mean(name, machines)
        if cables == 1 and hint:
            self._fault(link, f"there is no {name}{hint}; a switch of that name has to be in `switches`")

    def _check_filters(self) -> None:
        known: Iterable[str] = {*self.switches, self.home, *self.routers, *self.nodes}
        for each in self.spec.filters:
            if each.at.machine not in known and not each.at.machine.startswith(EXTERNAL):
                self._fault(each, f"there is no {each.at.machine}{did_you_mean(each.at.machine, known)}")
