"""Keeps lines in the folder that DATA_DIR names, and answers how many there are."""

import os
import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINES = pathlib.Path(os.environ["DATA_DIR"]) / "lines.txt"


class Lines(BaseHTTPRequestHandler):
    def do_POST(self):
        line = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            with LINES.open("a") as file:
                file.write(line + "\n")
            self.answer(200, str(len(LINES.read_text().splitlines())))
        except OSError as error:
            self.answer(500, str(error))

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8080), Lines).serve_forever()
