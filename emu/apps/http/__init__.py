# SPDX-License-Identifier: GPL-2.0-only
"""HTTP/1.1 over emulated TCP: `message`, `server`, `client`, and some `handlers`.

h11 knows the protocol; the programs here carry its octets over sockets.
"""
