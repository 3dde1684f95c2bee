# SPDX-License-Identifier: GPL-2.0-only
"""`ipvsadm`: its arguments, its listings, and what `ipvsadm -S` writes and `ipvsadm-restore` reads.

Source: ipvsadm 1.31, ipvsadm.c, libipvs/libipvs.c.
"""
