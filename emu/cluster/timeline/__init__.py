# SPDX-License-Identifier: GPL-2.0-only
"""What passes while a `Scenario` is played: what the cluster does, and what clients meanwhile see.

    steps ----> cluster ----> entries: events, pods, endpoints, rules, links  --+
                   ^                                                            +--> Story --> text, JSON
    traffic -----> | real packets --> attempts, and where their packets ended --+

Nobody here decides anything about the network: programs send, taps listen, and
what is told is counted.
"""
