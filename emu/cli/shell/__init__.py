# SPDX-License-Identifier: GPL-2.0-only
"""`emu shell`: a prompt over a living cluster or network.

words          a line to statements, statements to words
session        what a statement means, in the order in which its first word is looked up
wiring         `net`, `nodes`, `links`, `dump`, `intfs`: what is plugged into what
reach          `pingall`, `reachall`: all ask all
jobs           what runs while the prompt is back
watching       frames and events that pass meanwhile
completion     what may stand at a place of a line
prompt         where lines come from: a terminal, a pipe, `-c`, a file
"""
