# SPDX-License-Identifier: GPL-2.0-only
"""A cloud's network, made of machines and cables.

spec      what documents say
reader    documents to that
shape     what they leave out
layout    who gets which address
rules     security groups, ACLs and checks as rules of iptables
underlay  the machines: a router, an internet gateway, a NAT gateway
"""
