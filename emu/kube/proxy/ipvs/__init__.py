# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's mode ipvs.

    ports       what one service port wants: virtual services, members of sets
    rules       the rules that ask the sets
    wanted      all of it together, for one node
    plane       making a node's kernel agree
    leaving     destinations that go when their connections have

Source: pkg/proxy/ipvs.
"""
