# SPDX-License-Identifier: GPL-2.0-only
"""Deployments: ReplicaSets that follow each other.

controller      what belongs to a Deployment, read; what follows, done
  revisions     which ReplicaSet is the new one, what it is called and counted
  rollout       how many replicas each set is to have next
  status        the numbers and conditions that follow from the sets
  lost          ReplicaSets that a dump has pods of, but not them
"""
