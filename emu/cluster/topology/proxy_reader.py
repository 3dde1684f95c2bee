# SPDX-License-Identifier: GPL-2.0-only
"""`kubeProxy` of a `Cluster` document: what kube-proxy refuses is a fault, what it passes over a warning.

Source: pkg/proxy/apis/config/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.topology.ipvs_reader import duration, read_ipvs
from emu.cluster.topology.spec import ProxySpec
from emu.document.fields import Fields, boolean, elements, integer, one_of, text
from emu.kube.proxy.addresses import network
from emu.kube.proxy.config import PRIMARY, IpvsConfig
from emu.kube.proxy.modes import MODES, NOT_YET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.document.fields import Place
    from emu.sim.time import Duration

_DEFAULT: Final = ProxySpec()
_USED: Final = {
    "iptables": frozenset(("iptables", "nodePortAddresses")),
    "nftables": frozenset(("nftables", "nodePortAddresses")),
    "ipvs": frozenset(("iptables", "ipvs", "nodePortAddresses")),
    "userspace": frozenset(("iptables",)),
    "none": frozenset[str](),
}
"""What each mode goes by, of the keys that not all of them do."""

_COMMON: Final[Mapping[str, int]] = {
    "masqueradeAll": False,
    "masqueradeBit": _DEFAULT.masquerade_bit,
    "syncPeriod": _DEFAULT.sync_period,
    "minSyncPeriod": _DEFAULT.min_sync_period,
}
_IPTABLES: Final[Mapping[str, int]] = {"localhostNodePorts": True, **_COMMON}


def read_proxy(place: Place) -> ProxySpec:
    """Return what kube-proxy is told."""
    fields = Fields(place)
    mode = fields.get("mode", _mode, "iptables")
    cluster_cidr = fields.get("clusterCIDR", _cluster_cidr, None)
    addresses = fields.get("nodePortAddresses", _node_port_addresses, ())
    iptables = fields.get("iptables", _iptables, _IPTABLES)
    nftables = fields.get("nftables", _nftables, _COMMON)
    masquerades = nftables if mode == "nftables" else iptables
    liberal = fields.get("conntrack", _liberal, False)
    features = fields.get("features", _features, (True, True))
    ipvs = fields.get("ipvs", read_ipvs, _DEFAULT.ipvs)
    said = {
        "nodePortAddresses": bool(addresses),
        "iptables": iptables != _IPTABLES,
        "nftables": nftables != _COMMON,
        "ipvs": ipvs != IpvsConfig(),
    }
    _tell_unused(place, mode, said)
    _check_periods(place, "iptables", *_periods(iptables))
    if mode == "nftables":
        _check_periods(place, "nftables", *_periods(nftables))
    if mode == "ipvs":
        _check_periods(place, "ipvs", ipvs.sync_period, ipvs.min_sync_period)
    sync_period, min_sync_period = _periods(masquerades)
    return fields.done(
        ProxySpec(
            mode,  # type: ignore[arg-type]  # one of those that there are
            cluster_cidr=cluster_cidr,
            node_port_addresses=addresses,
            masquerade_all=bool(masquerades["masqueradeAll"]),
            masquerade_bit=masquerades["masqueradeBit"],
            localhost_node_ports=bool(iptables["localhostNodePorts"]),
            tcp_be_liberal=liberal,
            nfacct=features[0],
            random_fully=features[1],
            sync_period=sync_period,
            min_sync_period=min_sync_period,
            ipvs=ipvs,
        )
    )


def _tell_unused(place: Place, mode: str, said: dict[str, bool]) -> None:
    """Warn of what is said to a mode that does not listen: kube-proxy passes it over in silence."""
    for key, is_said in said.items():
        if is_said and key not in _USED[mode]:
            whose = (
                "there is no kube-proxy in mode none" if mode == "none" else f"mode {mode} does not use it"
            )
            place.at(key).warn(f"without effect: {whose}")
    section = place.at("iptables")
    if mode in {"ipvs", "userspace"} and section.at("localhostNodePorts").value is True:
        section.at("localhostNodePorts").warn(f"without effect: mode {mode} does not use it")
    if mode == "ipvs":
        for key in ("syncPeriod", "minSyncPeriod"):
            if section.at(key).is_given:
                section.at(key).warn(f"without effect: mode ipvs goes by ipvs.{key}")


def _check_periods(place: Place, section: str, period: Duration, least: Duration) -> None:
    """Refuse periods that kube-proxy refuses."""
    at = place.at(section).at("syncPeriod")
    if period <= 0:
        if str(at.value).startswith("0"):  # what is no duration is told already
            at.fault("must be greater than 0")
    elif least > period:
        at.fault("must be greater than or equal to minSyncPeriod")


def _periods(section: Mapping[str, int]) -> tuple[Duration, Duration]:
    return section["syncPeriod"], section["minSyncPeriod"]


def _mode(place: Place) -> str:
    if place.value in NOT_YET:
        place.fault(f"the mode {place.value} is not modelled yet; there are {', '.join(MODES)} and none")
        return "iptables"
    return one_of(*MODES, "none")(place)


def _cluster_cidr(place: Place) -> str:
    """Read the range of pods: empty, a prefix, or one of each family with a comma between."""
    found = text(place)
    parts = found.split(",") if found else []
    families = [4 if network(each, 4) else 6 if network(each, 6) else 0 for each in parts]
    if isinstance(place.value, str) and (0 in families or len(set(families)) != len(parts)):
        place.wrong('a prefix like 10.244.0.0/16, or "" for none')
    return found


def _node_port_addresses(place: Place) -> tuple[str, ...]:
    found = elements(place, text)
    for index, each in enumerate(found):
        at = place.at(index)
        if each == PRIMARY:
            if len(found) > 1:
                at.fault(f"{PRIMARY} stands alone: it cannot be mixed with prefixes")
        elif isinstance(at.value, str) and not (network(each, 4) or network(each, 6)):
            at.wrong(f"a prefix like 192.168.0.0/24, or {PRIMARY}")
    return found


def _iptables(place: Place) -> Mapping[str, int]:
    fields = Fields(place)
    return fields.done(
        {"localhostNodePorts": fields.get("localhostNodePorts", boolean, True), **_common(fields)}
    )


def _nftables(place: Place) -> Mapping[str, int]:
    fields = Fields(place)
    return fields.done(_common(fields))


def _common(fields: Fields) -> Mapping[str, int]:
    """Read what the sections of iptables and nftables have in common."""
    return {
        "masqueradeAll": fields.get("masqueradeAll", boolean, False),
        "masqueradeBit": fields.get("masqueradeBit", integer(0, 31), _DEFAULT.masquerade_bit),
        "syncPeriod": fields.get("syncPeriod", duration, _DEFAULT.sync_period),
        "minSyncPeriod": fields.get("minSyncPeriod", duration, _DEFAULT.min_sync_period),
    }


def _liberal(place: Place) -> bool:
    fields = Fields(place)
    return fields.done(fields.get("tcpBeLiberal", boolean, False))


def _features(place: Place) -> tuple[bool, bool]:
    fields = Fields(place)
    return fields.done((fields.get("nfacct", boolean, True), fields.get("randomFully", boolean, True)))
