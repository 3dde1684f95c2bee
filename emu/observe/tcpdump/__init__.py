# SPDX-License-Identifier: GPL-2.0-only
"""Headers in the words of tcpdump 4.99, run as `tcpdump -n`.

Each module takes the octets of one protocol and yields what tcpdump would
print of them, piece by piece. Where the octets end inside a field, it raises
`Cut`, and what was yielded until then stands.
"""
