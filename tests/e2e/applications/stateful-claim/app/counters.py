"""Counts each thing in a folder of its own."""

import os
import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNTERS = pathlib.Path(os.environ["COUNTERS"])


class Counters(BaseHTTPRequestHandler):
    def do_POST(self):
        folder = COUNTERS / self.path.strip("/")
        try:
            folder.mkdir(exist_ok=True)
            file = folder / "count.txt"
            count = (int(file.read_text()) if file.exists() else 0) + 1
            file.write_text(str(count))
            self.answer(200, f"{count}\n")
        except OSError as error:
            self.answer(500, f"{error}\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Counters).serve_forever()
