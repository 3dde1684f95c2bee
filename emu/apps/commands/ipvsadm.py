# SPDX-License-Identifier: GPL-2.0-only
"""`ipvsadm`: virtual services set up, changed, listed, and written as commands.

Addresses are always printed as numbers, as with `-n`.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError
from emu.kernel.netfilter.ipvs.states import State
from emu.sim.time import SECOND
from emu.tools.ipvsadm import arguments, listing
from emu.tools.ipvsadm.arguments import FAILED, USAGE
from emu.wire.ipv4 import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipvs.ipvs import Ipvs
    from emu.tools.ipvsadm.arguments import Asked

_NO_SERVICE: Final = "No such service"
_UNDEFINED: Final = "Service not defined"
_COMPLAINTS: Final[Mapping[tuple[str, int], str]] = {
    ("add-service", errno.EEXIST): "Service already exists",
    ("edit-service", errno.ESRCH): _NO_SERVICE,
    ("delete-service", errno.ESRCH): _NO_SERVICE,
    ("add-server", errno.ESRCH): _UNDEFINED,
    ("add-server", errno.EEXIST): "Destination already exists",
    ("edit-server", errno.ESRCH): _UNDEFINED,
    ("edit-server", errno.ENOENT): "No such destination",
    ("delete-server", errno.ESRCH): _UNDEFINED,
    ("delete-server", errno.ENOENT): "No such destination",
}
"""Source: libipvs.c `ipvs_strerror`."""


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `ipvsadm` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    asked = arguments.parse(argv)
    if asked.command == "restore":
        raise CommandError("restore needs a file; standard input is not modelled", USAGE)
    if asked.command == "zero":
        raise CommandError("zeroing counters (-Z) is not modelled", USAGE)
    return partial(run, asked=asked)


def run(net: Namespace, asked: Asked) -> str:
    """Do what is asked."""
    ipvs = net.netfilter.ipvs
    ipvs.sweep(net.now)
    if asked.command == "list":
        return _list(net, ipvs, asked)
    if asked.command == "save":
        return listing.save(ipvs.services)
    try:
        _change(ipvs, asked)
    except OSError as error:
        raise CommandError(_COMPLAINTS[asked.command, error.errno or 0], FAILED) from None
    return ""


def _list(net: Namespace, ipvs: Ipvs, asked: Asked) -> str:
    if asked.form == "connection":
        return listing.connections(ipvs.connections, net.now)
    if asked.form == "timeout":
        places = (TCP, State.ESTABLISHED), (TCP, State.FIN_WAIT), (UDP, State.UDP)
        numbers = " ".join(str(ipvs.timeout(*place) // SECOND) for place in places)
        return f"Timeout (tcp tcpfin udp): {numbers}\n"
    services = list(ipvs.services)
    if asked.service is not None:
        found = ipvs.services.get(asked.service)
        if found is None:
            raise CommandError(_NO_SERVICE, FAILED)
        services = [found]
    return listing.render(ipvs, services, asked.form, exact=asked.exact, is_sorted=asked.is_sorted)


def _change(ipvs: Ipvs, asked: Asked) -> None:
    match asked.command:
        case "clear":
            ipvs.flush()
        case "set":
            tcp, fin, udp = asked.timeouts
            ipvs.set_timeouts(tcp * SECOND, fin * SECOND, udp * SECOND)
        case "add-service" if asked.wanted is not None:
            ipvs.add_service(asked.wanted)
        case "edit-service" if asked.wanted is not None:
            ipvs.edit_service(asked.wanted)
        case "delete-service" if asked.service is not None:
            ipvs.delete_service(asked.service)
        case "add-server" if asked.service is not None and asked.destination is not None:
            ipvs.add_destination(asked.service, asked.destination)
        case "edit-server" if asked.service is not None and asked.destination is not None:
            ipvs.edit_destination(asked.service, asked.destination)
        case _ if asked.service is not None and asked.destination is not None:
            ipvs.delete_destination(asked.service, asked.destination.key)
