# SPDX-License-Identifier: GPL-2.0-only
"""Ingress: a controller whose pods are HTTP reverse proxies, as ingress-nginx is installed and behaves.

    addon               the objects of an installation, for input that has Ingresses and no controller
    settings            arguments of the controller and its ConfigMap
    nginx_annotations   what Ingresses say of themselves
    access              how a request came: scheme, port, host
    paths               paths as nginx compares and rewrites them
    servers             hosts and paths as nginx has them: which location a request meets
    configuration       objects to servers, by a pure function
    secrets             certificates of Secrets
    controller          keeps configurations current, writes status, tells what is amiss
    balancing           endpoints in turn, connections that are kept
    proxy               one request from a client to an endpoint and back
    pages               what nginx answers itself
    image               the programs of a container

      client ==TLS== [ proxy ] ==HTTP== pod IP : targetPort

Endpoints are asked themselves, not the ClusterIP: policies see the controller's
pod, and neither kube-proxy nor session affinity of the Service has a say.
"""
