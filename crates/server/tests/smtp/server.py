"""A mail server for tests: real SMTP by aiosmtpd, that refuses, stalls and breaks off on request.

It prints "listening on PORT", and appends to the file given with --record one line of JSON for each connection and each
mail that it took. On standard input it takes one JSON object a line, and prints "ok" when it holds:

  {"at": "rcpt", "do": "reply", "text": "550 5.1.1 no such user", "to": "user-1@", "times": 1}
      at    mail, rcpt, data (before the mail is given) or content (after); auth: a log-in that would be accepted
      do    reply TEXT | stall (never answer) | cut (break off) | take_and_stall | take_and_cut (at content: the mail
            arrives, and its sender does not hear of it)
      to    only for recipients that hold this text; times: so often, then no more (absent: always)
  {"clear": true}    no rules any more; whoever stalls goes on without an answer
  {"hang_up": true}  every connection breaks off now

It ends with its standard input.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Desk:
    """What is asked for, and what has happened."""

    def __init__(self, record):
        self.record = open(record, "a", encoding="utf-8")
        self.rules = []
        self.cleared = asyncio.Event()
        self.sessions = set()
        self.connections = 0

    def write(self, entry):
        self.record.write(json.dumps(entry) + "\n")
        self.record.flush()

    def told(self, line):
        command = json.loads(line)
        if "clear" in command:
            self.rules.clear()
            self.cleared.set()
            self.cleared = asyncio.Event()
        elif "hang_up" in command:
            for session in list(self.sessions):
                session.transport.abort()
        else:
            self.rules.append(command)
        print("ok", flush=True)

    def rule(self, at, recipients):
        for rule in self.rules:
            wanted = rule.get("to")
            if rule["at"] != at or rule.get("times") == 0:
                continue
            if wanted and not any(wanted in recipient for recipient in recipients):
                continue
            if "times" in rule:
                rule["times"] -= 1
            return rule
        return None

    async def answer(self, at, server, recipients, good, take=lambda: None):
        """The answer at this step: `good` unless a rule says otherwise. `take` keeps the mail."""
        rule = self.rule(at, recipients)
        if rule is None:
            take()
            return good
        action = rule["do"]
        if action.startswith("take_and_"):
            take()
        if action == "reply":
            return rule["text"]
        if action.endswith("stall"):
            await self.cleared.wait()
        server.transport.abort()
        return "421 4.3.0 gone"


class Handler:
    def __init__(self, desk):
        self.desk = desk

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = await self.desk.answer("mail", server, [], "250 OK")
        if answer.startswith("2"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = await self.desk.answer("rcpt", server, [address], "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        def take():
            self.desk.write(described(server, session, envelope))

        return await self.desk.answer("content", server, envelope.rcpt_tos, "250 OK", take)


class Server(SMTP):
    def __init__(self, desk, **options):
        super().__init__(Handler(desk), hostname="mail.test", **options)
        self.desk = desk
        self.number = 0

    def connection_made(self, transport):
        if self.number == 0:
            self.desk.connections += 1
            self.number = self.desk.connections
            self.desk.write({"event": "connection", "number": self.number})
        self.desk.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error):
        self.desk.sessions.discard(self)
        super().connection_lost(error)

    async def smtp_DATA(self, arg):
        answer = await self.desk.answer("data", self, self.envelope.rcpt_tos if self.envelope else [], None)
        if answer is None:
            await super().smtp_DATA(arg)
        else:
            await self.push(answer)


def described(server, session, envelope):
    """The mail as a program that shows mails would read it."""
    raw = envelope.original_content
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    body = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    return {
        "event": "mail",
        "hello": session.host_name,
        "login": session.auth_data.login.decode() if session.auth_data else None,
        "encrypted": server.transport.get_extra_info("ssl_object") is not None,
        "sender": envelope.mail_from,
        "recipients": envelope.rcpt_tos,
        "headers": [[name, str(value)] for name, value in mail.items()],
        "kind": mail.get_content_type(),
        "defects": [str(defect) for part in mail.walk() for defect in part.defects],
        "bodies": body,
        "bareLineFeeds": raw.count(b"\n") - raw.count(b"\r\n"),
        "longestLine": max(len(line) for line in raw.split(b"\r\n")),
    }


def authenticator(desk, expected):
    name, _, password = expected.partition(":")

    def check(server, session, envelope, mechanism, data):
        fits = isinstance(data, LoginPassword) and (data.login, data.password) == (name.encode(), password.encode())
        rule = desk.rule("auth", []) if fits else None
        if rule:
            return AuthResult(success=False, handled=False, message=rule["text"])
        return AuthResult(success=fits, handled=False, auth_data=data)

    return check


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--record", required=True)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--login", help="NAME:PASSWORD that must be given")
    arguments.add_argument("--certificate", help="PEM file of certificate and key: STARTTLS is offered and required")
    arguments.add_argument("--encrypted", action="store_true", help="encrypted from the first byte instead")
    chosen = arguments.parse_args()

    desk = Desk(chosen.record)
    options = {}
    if chosen.login:
        options |= {"auth_required": True, "auth_require_tls": False, "authenticator": authenticator(desk, chosen.login)}
    if chosen.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(chosen.certificate)
        if not chosen.encrypted:
            options |= {"tls_context": tls, "require_starttls": True}

    loop = asyncio.get_running_loop()
    at_once = tls if chosen.encrypted else None
    server = await loop.create_server(
        lambda: Server(desk, loop=loop, **options), "127.0.0.1", chosen.port, ssl=at_once
    )
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)

    ended = asyncio.Event()

    def listen():
        for line in sys.stdin:
            loop.call_soon_threadsafe(desk.told, line)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    asyncio.run(main())
