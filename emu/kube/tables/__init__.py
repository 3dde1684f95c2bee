# SPDX-License-Identifier: GPL-2.0-only
"""What `kubectl get` and `kubectl describe` print, and in which words they complain.

The columns and cells of tables are those the API server makes, their layout,
the output formats and the descriptions those of the client. Everything here is
a function of objects, the time and the version: nothing is asked for, nothing
is written. Source: Kubernetes 1.27 to 1.36, `pkg/printers/internalversion`,
`k8s.io/cli-runtime/pkg/printers` and `k8s.io/kubectl/pkg/describe`.
"""
