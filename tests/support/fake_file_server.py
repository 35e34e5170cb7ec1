"""A web server with a few files, which breaks off, forgets or refuses as a test wants it to."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeFileServer:
    """What is served, and how badly; `asked` keeps every request's path and Range."""

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


def _answer(shelf, name, asked):
    """Status, headers and body for a request."""
    status = shelf.status[name].pop(0) if shelf.status.get(name) else 0
    if status or name not in shelf.files:
        return status or 404, {}, b""
    content, mark = shelf.files[name], shelf.marks[name]
    headers = {"ETag": mark} if mark else {}
    wanted = asked.get("Range")
    if not (wanted and shelf.ranges and asked.get("If-Range") in (None, mark)):
        return 200, headers, content
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(content):
        return 416, {}, b""
    span = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return 206, headers | {"Content-Range": span}, content[start:]


def _handler(shelf):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/")
            shelf.asked.append((name, self.headers.get("Range")))
            status, headers, body = _answer(shelf, name, self.headers)
            if status >= 400:
                self.send_error(status)
                return
            self.send_response(status)
            for header, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body[: shelf.breaks_after.pop(0)] if shelf.breaks_after else body)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def running_server():
    """A shelf on a free port of this machine."""
    shelf = FakeFileServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(shelf))
    shelf.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
