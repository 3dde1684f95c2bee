# SPDX-License-Identifier: GPL-2.0-only
"""Looking on: taps, capture files, capture filters, tcpdump's lines, traces.

Nothing here changes what a frame does.
"""
