# SPDX-License-Identifier: GPL-2.0-only
"""The text of `ipset`: arguments, what it prints, and files for `ipset restore`.

Judged by ipset 7.17 on Linux 6.18. Names of hosts are not resolved.
"""
