"""A web server on this machine that serves a few files, for the tests of downloads.

A test can have it break off, answer with an error, or ignore ranges.
"""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeFileServer:
    """What the server serves and how it fails; `asked` keeps every request's path and Range."""

    def __init__(self):
        self.files = {}
        self.marks = {}
        self.status = {}
        self.ranges = True
        self.breaks_after = []
        """Bytes after which the next answers end, though more were announced."""
        self.asked = []
        self.url = ""

    def put(self, name, content, mark=None):
        self.files[name] = content
        self.marks[name] = mark
        return f"{self.url}/{name}"


def _answer(server, name, asked):
    """Return status, headers and body for a request."""
    status = server.status[name].pop(0) if server.status.get(name) else 0
    if status or name not in server.files:
        return status or 404, {}, b""
    content, mark = server.files[name], server.marks[name]
    headers = {"ETag": mark} if mark else {}
    wanted = asked.get("Range")
    if not (wanted and server.ranges and asked.get("If-Range") in (None, mark)):
        return 200, headers, content
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(content):
        return 416, {}, b""
    span = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return 206, headers | {"Content-Range": span}, content[start:]


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/")
            server.asked.append((name, self.headers.get("Range")))
            status, headers, body = _answer(server, name, self.headers)
            if status >= 400:
                self.send_error(status)
                return
            self.send_response(status)
            for header, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body[: server.breaks_after.pop(0)] if server.breaks_after else body)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def running_server():
    """Serve on a free port of this machine until the context ends."""
    server = FakeFileServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
