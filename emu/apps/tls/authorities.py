# SPDX-License-Identifier: GPL-2.0-only
"""The certificates of our authorities as text: who trusts them need not make them.

They follow from their names (`certificates.authority`), as a test says.
"""

from __future__ import annotations

from typing import Final

TRUSTED: Final = "/etc/ssl/certs/ca-certificates.crt"
"""The file of the authorities that a machine trusts, where Debian's images have it."""

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
"""Where a container finds the authority of its cluster."""

ROOT: Final = """\
-----BEGIN CERTIFICATE-----
MIIBDjCBwaADAgECAhBAzYNnkHeF+eM3N7dPxaB0MAUGAytlcDAWMRQwEgYDVQQD
DAtlbXUgUm9vdCBDQTAgFw0wMDAxMDEwMDAwMDBaGA8yOTk5MTIzMTAwMDAwMFow
FjEUMBIGA1UEAwwLZW11IFJvb3QgQ0EwKjAFBgMrZXADIQD+2QJa3dzsJiQ7u7Y7
xcMHMO2s5G5ZtiJgm4yBPBj9MaMjMCEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B
Af8EBAMCAYYwBQYDK2VwA0EA7tnemg7zHwqcC0x9DiREOB5q0K+30uZagr8xkZaF
9X1cMOJnjuLRdPLCwa7RSplLnTfuRhRS5zo5ghPAT25WDQ==
-----END CERTIFICATE-----
"""
"""The authority of hosts outside, which every machine trusts, as it would trust a public one."""

CLUSTER: Final = """\
-----BEGIN CERTIFICATE-----
MIIBDDCBv6ADAgECAhBAZao+CKpfArLBj8WaCr15MAUGAytlcDAVMRMwEQYDVQQD
DAprdWJlcm5ldGVzMCAXDTAwMDEwMTAwMDAwMFoYDzI5OTkxMjMxMDAwMDAwWjAV
MRMwEQYDVQQDDAprdWJlcm5ldGVzMCowBQYDK2VwAyEAm9/Wul7NTJEUsuOovE4n
bKsWqxfFwRt6TZFC35NpZKCjIzAhMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/
BAQDAgGGMAUGAytlcANBABinp7TcUUgoQSE2kUVwQmJipIcaMu9djyqnMuL/Rv5+
YPa03o8tJKLu1v9B5NeeUESf/57B0wnYrmAjKWbQ6wM=
-----END CERTIFICATE-----
"""
"""The authority of a cluster, which signs for the API server."""
