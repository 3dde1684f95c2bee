# SPDX-License-Identifier: GPL-2.0-only
"""A verdict told to people: the answer first, then the way of the packets, each stage with whose doing it is.

places     whose an address is, on which node a namespace is, whose rule it is
answer     the first line
fates      branches that end alike, as one
stages     the steps of a packet, condensed to what decided
layout     rows in eighty columns
telling    the parts of an answer; text, markdown and html write them down
every_step every step there was, for those who ask for it
"""
