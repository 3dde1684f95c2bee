# SPDX-License-Identifier: GPL-2.0-only
"""`kubeProxy.ipvs` of a `Cluster` document: what only the mode ipvs asks.

Source: pkg/proxy/apis/config/types.go `KubeProxyIPVSConfiguration`, validation.go.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from emu.cluster.topology import values
from emu.document.fields import Fields, boolean, elements, measured, one_of
from emu.kernel.netfilter.ipvs.schedulers import SCHEDULERS, UNMODELLED
from emu.kube.proxy.config import IpvsConfig
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from emu.document.fields import Place

_DEFAULT: Final = IpvsConfig()
_UNITS: Final = {
    "ns": 1,
    "us": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_A_DURATION: Final = "a duration with its unit, like 30s or 15m0s"
_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|ms|s|m|h)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")


def read_ipvs(place: Place) -> IpvsConfig:
    """Return the settings of the mode ipvs."""
    fields = Fields(place)
    return fields.done(
        IpvsConfig(
            fields.get("scheduler", _scheduler, ""),
            fields.get("strictARP", boolean, False),
            fields.get("excludeCIDRs", lambda each: elements(each, _network), ()),
            fields.get("tcpTimeout", duration, 0),
            fields.get("tcpFinTimeout", duration, 0),
            fields.get("udpTimeout", duration, 0),
            fields.get("syncPeriod", duration, _DEFAULT.sync_period),
            fields.get("minSyncPeriod", duration, _DEFAULT.min_sync_period),
        )
    )


def _scheduler(place: Place) -> str:
    if place.value in UNMODELLED:
        place.fault(f"the scheduler {place.value} is not modelled; there are {', '.join(SCHEDULERS)}")
        return ""
    return "" if place.value == "" else one_of(*SCHEDULERS)(place)


def _network(place: Place) -> str:
    return str(values.prefix(place))


def duration(place: Place) -> Duration:
    """Read a duration as Go writes it: `30s`, `15m0s`, `1h`."""
    found = measured(place, _A_DURATION)
    if found == "0":
        return 0
    if _WHOLE.fullmatch(found) is None:
        if isinstance(place.value, str):
            place.wrong(_A_DURATION)
        return 0
    return round(sum(Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(found)))
