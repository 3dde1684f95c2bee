# SPDX-License-Identifier: GPL-2.0-only
"""Octets and headers: what travels on a cable, without any behaviour.

A header is a typed view of immutable octets (`parse`), and a rewrite makes new
octets. What a host sends starts from a template that Scapy made (`craft`).
"""
