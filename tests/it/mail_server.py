"""Takes mail as a provider would: nothing is said before TLS, and nobody sends without signing in. Each letter becomes a
file of JSON in the directory that was named."""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

PORT, DIRECTORY, CERTIFICATE, KEY, USER, PASSWORD = sys.argv[1:]


class Keep:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        kept = {
            "tls": session.ssl is not None,
            "authenticated": session.authenticated,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": letter["subject"],
            "headers": [name for name, _ in letter.items()],
            "text": letter.get_body(("plain",)).get_content(),
            "html": letter.get_body(("html",)).get_content(),
        }
        Keep.count += 1
        path = os.path.join(DIRECTORY, f"{Keep.count}.json")
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.rename(path + ".part", path)
        return f"250 kept as number {Keep.count}"


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def server(context):
    return SMTP(
        Keep(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        auth_require_tls=True,
        authenticator=authenticate,
    )


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    listener = await asyncio.get_running_loop().create_server(lambda: server(context), "127.0.0.1", int(PORT))
    await listener.serve_forever()


asyncio.run(main())
