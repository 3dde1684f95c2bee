# SPDX-License-Identifier: GPL-2.0-only
"""The kubelet: pods that are bound to a node become a sandbox, an address and running programs.

bound --> sandbox (namespace, CNI ADD) --> containers --> probes --> Ready
                                               |
deleted --> readiness goes on, programs end --> CNI DEL --> the object is removed
"""
