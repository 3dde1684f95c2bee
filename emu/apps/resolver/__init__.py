# SPDX-License-Identifier: GPL-2.0-only
"""Names become addresses, as the C libraries make them: every query is a packet.

`lookup.look_up` is getaddrinfo(3). It reads a program's /etc/hosts and
/etc/resolv.conf (`hosts`, `configuration`) and then asks as `glibc` or as
`musl` does.
"""
