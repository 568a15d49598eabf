"""Serves the page that its neighbour writes, and keeps a list of visitors beside it."""

import pathlib
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHARED = pathlib.Path("/shared")


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, (SHARED / "page.txt").read_text())

    def do_POST(self):
        visitor = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            with open(SHARED / "visitors.txt", "a+") as file:
                file.write(visitor + "\n")
                file.seek(0)
                self.answer(200, f"{len(file.readlines())} visitor\n")
        except OSError as error:
            self.answer(500, f"{error}\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


while not (SHARED / "page.txt").exists():
    time.sleep(0.1)
ThreadingHTTPServer(("", 8000), Page).serve_forever()
