# SPDX-License-Identifier: GPL-2.0-only
"""IP addresses and prefixes in fields, as an API server takes them.

Up to 1.35 octets may have leading zeros and prefixes host bits, with a
warning; from 1.36 on new values must not.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/ip.go,
`ValidateNonSpecialIP` of pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

Ip: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

STRICT_SINCE: Final = (1, 36)

_LEADING_ZEROS: Final = re.compile(r"(?<![0-9a-fA-F:.])0+(?=[0-9])|(?<=\.)0+(?=[0-9])")
_LINK_LOCAL_MULTICAST: Final = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def parsed(text: str) -> Ip | None:
    """Return the address that `text` names, leading zeros allowed; None if it is none."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(_LEADING_ZEROS.sub("", text) if "." in text else text)
    except ValueError:
        return None


def parsed_network(text: str) -> Network | None:
    """Return the prefix that `text` names, leading zeros and host bits allowed; None if it is none."""
    address, slash, length = text.partition("/")
    ip = parsed(address)
    if ip is None or not slash or not re.fullmatch("0*[0-9]{1,3}", length, re.ASCII):
        return None
    try:
        return ipaddress.ip_network((ip, int(length)), strict=False)
    except ValueError:
        return None


def check_ip(field: Field) -> Ip | None:
    """Report a text that is no address, or not written as it should be; return the address."""
    text = field.value
    if not isinstance(text, str):
        return None
    ip = parsed(text)
    if ip is None:
        field.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        return None
    canonical = str(ip)
    mapped = _mapped(ip)
    if mapped is None and canonical == text:
        return ip
    if mapped is None and ip.version == 6 and "." not in text:
        field.warn(f'IPv6 address "{text}" should be in RFC 5952 canonical format ("{canonical}")')
    elif field.version >= STRICT_SINCE:
        field.invalid("must not be an IPv4-mapped IPv6 address" if mapped else "must not have leading 0s")
    else:
        _warn_of_future(field, "IP address", str(mapped or ip))
    return ip


def check_cidr(field: Field, *, padded: bool = False) -> Network | None:
    """Report a text that is no prefix, or not written as it should be; return the prefix.

    One that is `padded` may have blanks around it.
    """
    text = field.value
    if not isinstance(text, str):
        return None
    text = text.strip() if padded else text
    network = parsed_network(text)
    if network is None:
        field.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        return None
    if field.version >= STRICT_SINCE:
        field.each_invalid(_strict_complaints(text, network)[:1])
    else:
        _warn_of_cidr(field, text, network)
    return network


def _strict_complaints(text: str, network: Network) -> list[str]:
    """Return what is against a prefix that is one, by today's rules; the first is told."""
    address, _, length = text.partition("/")
    ip = parsed(address)
    complaints = []
    if length != str(network.prefixlen) or (network.version == 4 and str(ip) != address):
        complaints.append("must not have leading 0s in IP or prefix length")
    if ip is not None and _mapped(ip) is not None:
        complaints.append("must not have an IPv4-mapped IPv6 address")
    if ip != network.network_address:
        complaints.append("must not have bits set beyond the prefix length")
    return complaints


def _warn_of_cidr(field: Field, text: str, network: Network) -> None:
    ip = parsed(text.partition("/")[0])
    complaints = _strict_complaints(text, network)
    if ip != network.network_address:
        single = f"{ip}/{network.max_prefixlen}"
        field.warn(f'CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{single}"?)')
        complaints.pop()
    if complaints:
        _warn_of_future(field, "CIDR value", str(network))
    elif ip == network.network_address and str(network) != text:
        field.warn(f'IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")')


def check_ordinary(field: Field, ip: Ip) -> None:
    """Report an address that no endpoint can have."""
    if ip.is_unspecified:
        field.invalid(f"may not be unspecified ({ip})")
    if ip.is_loopback:
        field.invalid("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if ip.is_link_local:
        field.invalid("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(ip.version == network.version and ip in network for network in _LINK_LOCAL_MULTICAST):
        field.invalid("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def _mapped(ip: Ip) -> ipaddress.IPv4Address | None:
    return ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None


def _warn_of_future(field: Field, what: str, better: str) -> None:
    field.warn(
        f'non-standard {what} "{field.value}" will be considered invalid in a future Kubernetes release: '
        f'use "{better}"'
    )
