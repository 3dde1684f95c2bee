# SPDX-License-Identifier: GPL-2.0-only
"""For tests, ours and yours: small networks, strategies for Hypothesis, and checks.

`lab` makes a network in a line, `checks` tells what is wrong with what happened
in it. `strategies` and `networks` need Hypothesis, which the extra `test` brings.
"""
