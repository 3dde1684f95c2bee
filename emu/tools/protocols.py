# SPDX-License-Identifier: GPL-2.0-only
"""Protocols and services by their names, as every tool finds them.

Source: /etc/protocols of Debian 12, one name for a number, and what rules use of its
/etc/services.
"""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final = {
    "ip": 0,
    "icmp": 1,
    "igmp": 2,
    "ggp": 3,
    "ipencap": 4,
    "st": 5,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "pup": 12,
    "udp": 17,
    "hmp": 20,
    "xns-idp": 22,
    "rdp": 27,
    "iso-tp4": 29,
    "dccp": 33,
    "xtp": 36,
    "ddp": 37,
    "idpr-cmtp": 38,
    "ipv6": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "idrp": 45,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "skip": 57,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "rspf": 73,
    "vmtp": 81,
    "eigrp": 88,
    "ospf": 89,
    "ax.25": 93,
    "ipip": 94,
    "etherip": 97,
    "encap": 98,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "isis": 124,
    "sctp": 132,
    "fc": 133,
    "mobility-header": 135,
    "udplite": 136,
    "mpls-in-ip": 137,
    "manet": 138,
    "hip": 139,
    "shim6": 140,
    "wesp": 141,
    "rohc": 142,
    "ethernet": 143,
}
"""Protocol numbers by name."""

PROTOCOL_NAMES: Final = {number: name for name, number in PROTOCOLS.items()}
"""Names by protocol number."""

_OF_BOTH: Final = {
    "echo": 7,
    "discard": 9,
    "daytime": 13,
    "time": 37,
    "domain": 53,
    "kerberos": 88,
    "sunrpc": 111,
    "snmp": 161,
    "snmp-trap": 162,
    "ldap": 389,
    "https": 443,
    "syslog": 514,
    "rtsp": 554,
    "ldaps": 636,
    "domain-s": 853,
    "openvpn": 1194,
    "radius": 1812,
    "radius-acct": 1813,
    "nfs": 2049,
    "sip": 5060,
    "sip-tls": 5061,
}

TCP_SERVICES: Final = _OF_BOTH | {
    "ftp-data": 20,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "whois": 43,
    "http": 80,
    "www": 80,
    "pop3": 110,
    "auth": 113,
    "nntp": 119,
    "netbios-ssn": 139,
    "imap": 143,
    "imap2": 143,
    "bgp": 179,
    "microsoft-ds": 445,
    "submissions": 465,
    "submission": 587,
    "rsync": 873,
    "imaps": 993,
    "pop3s": 995,
    "ms-sql-s": 1433,
    "mysql": 3306,
    "postgresql": 5432,
    "amqps": 5671,
    "amqp": 5672,
    "redis": 6379,
    "http-alt": 8080,
    "git": 9418,
    "webmin": 10000,
}
"""Ports by the names of services over TCP."""

UDP_SERVICES: Final = _OF_BOTH | {
    "bootps": 67,
    "bootpc": 68,
    "tftp": 69,
    "ntp": 123,
    "netbios-ns": 137,
    "netbios-dgm": 138,
    "isakmp": 500,
    "dhcpv6-client": 546,
    "dhcpv6-server": 547,
    "ipsec-nat-t": 4500,
    "mdns": 5353,
}
"""Ports by the names of services over UDP."""

SERVICES: Final = TCP_SERVICES | UDP_SERVICES
"""Ports by the names of services over either; a name has one port."""
