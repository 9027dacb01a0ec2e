"""Takes webhooks, verifies them and stores each once, as a file in the folder INBOX
(which has to be there). Run it with

    WEBHOOK_SECRET=whsec_… INBOX=inbox PORT=9081 python3 receiver.py

It needs no library; Webhook.verify of the package standardwebhooks does what verify
does here.
"""

import base64
import hashlib
import hmac
import os
import re
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INBOX = os.environ.get("INBOX") or "."
MOST_BODY = 64 << 20  # bytes; 1 MiB is plenty without include_file


def key_of(secret: str) -> bytes:
    """Reads whsec_…. With an empty key anybody can sign."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) < 24:
        sys.exit("WEBHOOK_SECRET must be the secret of the subscription, whsec_…")
    return key


KEY = key_of(os.environ.get("WEBHOOK_SECRET", ""))


def verify(headers, body: bytes) -> bool:
    """Tells whether a webhook was signed with our secret, less than five minutes ago."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not re.fullmatch("[0-9]{1,12}", timestamp) or abs(time.time() - int(timestamp)) > 300:
        return False
    mac = hmac.new(KEY, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(mac.digest())
    # Several while a secret is being changed; each is compared in constant time.
    signatures = headers.get("webhook-signature", "").encode().split(b" ")
    return any([hmac.compare_digest(expected, signature) for signature in signatures])


def store(webhook_id: str, body: bytes) -> None:
    """Keeps a webhook under its id: one that comes twice is there once. Instead of
    files, take a table whose key is the id."""
    if not re.fullmatch("[A-Za-z0-9_-]{1,100}", webhook_id):
        raise ValueError("the id is not a file name")
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=INBOX)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, os.path.join(INBOX, webhook_id + ".json"))


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if not 0 <= length <= MOST_BODY:
            return self.answer(413)
        # The bytes as they came: JSON that was decoded and encoded again has another signature.
        body = self.rfile.read(length)
        if not verify(self.headers, body):
            return self.answer(401)
        try:
            # 2xx only once it is stored: pollbridge then forgets it.
            store(self.headers["webhook-id"], body)
        except (OSError, ValueError) as error:
            self.log_error("%s", error)
            return self.answer(503)  # it will be sent again
        self.answer(204)
        # The work itself is done by somebody else, who reads the inbox.

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/webhooks", flush=True)
    server.serve_forever()
