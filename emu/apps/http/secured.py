# SPDX-License-Identifier: GPL-2.0-only
"""HTTP over TLS, at the client: hands are shaken, and the name in the certificate is looked at.

Source: RFC 9110 section 4.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.http.failure import Failed, Failure
from emu.sim.time import EPOCH

if TYPE_CHECKING:
    from emu.apps.tls.channel import Tls
    from emu.apps.tls.contexts import Wishes
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.sim.time import Instant

OTHER_NAME: Final = "name"
"""The detail of a certificate that is refused because it is somebody else's."""


@attrs.frozen
class Secured:
    """That TLS is spoken below HTTP.

    Attributes:
        host: whom to ask for: a name, or an address (which no hello says).
        wishes: what is wanted of it.
        epoch: ns since 1970 at the start of the run, for the dates of certificates.
    """

    host: str
    wishes: Wishes
    epoch: int = EPOCH


def secure(socket: Socket, tls: Secured, deadline: Instant | None) -> Program[Tls | Failed]:
    """Shake hands, and look at the name in the certificate."""
    from emu.apps.tls import channel, trust  # noqa: PLC0415 - most clients speak none, and OpenSSL takes a while

    try:
        made = yield from channel.connect(socket, tls.host, tls.wishes, deadline=deadline, epoch=tls.epoch)
    except TimeoutError as error:
        return Failed(Failure.TLS, error.errno or 0, "timeout")
    except OSError as error:
        return Failed(Failure.TLS, error.errno or 0)
    except channel.TlsError as error:
        if error.certificate:
            return Failed(Failure.CERTIFICATE, detail=error.certificate)
        return Failed(Failure.TLS, detail=error.reason)
    if tls.wishes.trusted is not None and not trust.is_for(made.conversation.certificate, tls.host):
        yield from made.close()
        return Failed(Failure.CERTIFICATE, detail=OTHER_NAME)
    return made
