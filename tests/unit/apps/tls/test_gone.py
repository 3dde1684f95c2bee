# SPDX-License-Identifier: GPL-2.0-only
"""A peer that is gone before hands are shaken: the same with every version of Python."""

from __future__ import annotations

import pytest

from emu.apps.tls import certificates, contexts
from emu.apps.tls.contexts import Wishes
from emu.apps.tls.conversation import Conversation, TlsError

SITE = certificates.issue(("web",))


@pytest.mark.parametrize("is_choosing", [False, True])
def test_a_server_says_nothing_to_who_is_gone(*, is_choosing: bool) -> None:
    """No alert, as nginx: who only connected and closed gets a FIN, and no data to reset."""
    context = contexts.choosing(SITE, lambda _name: SITE) if is_choosing else contexts.server(SITE)
    conversation = Conversation(context, is_server=True)
    conversation.take(b"")
    with pytest.raises(TlsError, match="unexpected eof"):
        conversation.shake_hands()
    assert not conversation.give()


def test_a_client_is_told_that_its_server_is_gone() -> None:
    """In curl's words."""
    conversation = Conversation(contexts.client(Wishes()).context, "web")
    conversation.take(b"")
    with pytest.raises(TlsError, match="unexpected eof while reading") as caught:
        conversation.shake_hands()
    assert caught.value.reason == "UNEXPECTED_EOF_WHILE_READING"
