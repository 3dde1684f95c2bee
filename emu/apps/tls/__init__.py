# SPDX-License-Identifier: GPL-2.0-only
"""TLS over emulated TCP: the records are OpenSSL's, the octets travel in segments like any others.

    certificates   made here when nobody brings any; the same ones in every run
    contexts       what OpenSSL is told, kept for those who are told the same; the key log
    conversation   one connection without input or output: octets in, octets out
    channel        the same over a socket, as programs use it
    trust          whether a client takes a certificate: by the virtual clock, and by the name it asked for

OpenSSL draws its keys from the machine, not from the seed: two runs differ in the
octets of their handshakes and records. Order, lengths and contents are the same
with the certificates that are made here (Ed25519: its signatures are all of one
length; those of ECDSA are not).
"""
