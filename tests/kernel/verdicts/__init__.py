# SPDX-License-Identifier: GPL-2.0-only
"""Random packets through random rules, in the real kernel and in emu: both have to do the same.

A *case* is a text of rules and a script of packets (`script`), drawn from a
seed. `on_linux` and `on_emu` play it to a router of the same network
(`topology`) and return an *outcome*: what came out of which end, what rules
counted, which connections stand. `compare` puts them side by side and, where
they differ, looks for the least case that still does.

    python -m tests.kernel.verdicts SEED [NUMBER]

plays the cases of a seed again, or one of them with all details.
"""
