# SPDX-License-Identifier: GPL-2.0-only
"""IP Virtual Server: a packet for a virtual service goes to one of its destinations.

    virtual       what is set up: virtual services and their destinations
    schedulers    which destination a new connection gets
    connection    who was sent where, and for how long that is remembered
    hooks         where it stands on a packet's way: INPUT, OUTPUT, FORWARD
    transmit      the destination is changed, the packet sent on from this host

Source: net/netfilter/ipvs, Linux 6.18.
"""
