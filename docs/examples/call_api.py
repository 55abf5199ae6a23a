"""Calls an API behind the EnOS gateway, in the three ways in which a token can be shown. Python 3.9, no packages.

    python3 call_api.py URL [SECONDS]

One call in each way, then again every SECONDS; without SECONDS once. TOKEN_DIRECTORY is where the pod mounts the target
Secret, with the keys accessToken and, for signed calls, appSecret.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen

DIRECTORY = Path(os.environ.get("TOKEN_DIRECTORY", "/var/run/enos"))


def read(key):
    """Read for every call, never kept: the kubelet replaces the files after a renewal."""
    return (DIRECTORY / key).read_text(encoding="utf-8")


def signed(url, body=b"", method="GET"):
    """Most APIs: the signature proves the appSecret without sending it."""
    access_token, app_secret = read("accessToken"), read("appSecret")
    timestamp = str(int(time.time() * 1000))
    query = sorted(parse_qsl(urlsplit(url).query, keep_blank_values=True), key=lambda pair: pair[0])
    parameters = "".join(name + value for name, value in query)
    text = (access_token + parameters).encode() + body + (timestamp + app_secret).encode()
    headers = {
        "apim-accesstoken": access_token,
        "apim-timestamp": timestamp,
        "apim-signature": hashlib.sha256(text).hexdigest(),
    }
    return Request(url, data=body or None, headers=headers, method=method)


def with_token(url):
    """HTTP integration and file APIs."""
    return Request(url, headers={"apim-accesstoken": read("accessToken")})


def with_bearer(url):
    """Data federation and streaming."""
    return Request(url, headers={"Authorization": f"Bearer {read('accessToken')}"})


def call(way, request):
    try:
        with urlopen(request, timeout=30) as response:
            print(f"{way}: {response.status}", flush=True)
    except HTTPError as error:
        print(f"{way}: {error.code}", flush=True)
        print(f"{way}: {error.read().decode()}", file=sys.stderr, flush=True)


def main(url, seconds=None):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        call("signed", signed(url))
        call("signed, with a body", signed(url, json.dumps({"power": 3.2}).encode(), "POST"))
        call("apim-accesstoken", with_token(url))
        call("bearer", with_bearer(url))
        if seconds is None:
            return
        time.sleep(float(seconds))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python3 call_api.py URL [SECONDS]")
    main(*sys.argv[1:])
