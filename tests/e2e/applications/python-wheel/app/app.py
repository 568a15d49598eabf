"""Checksums of what is sent, from a module that is compiled; the last one is kept."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import wordsum

LAST = Path("state/last.txt")


class Sums(BaseHTTPRequestHandler):
    def do_GET(self):
        if LAST.exists():
            self.answer(200, LAST.read_text())
        else:
            self.answer(404, "nothing yet")

    def do_POST(self):
        found = f"{wordsum.checksum(self.rfile.read(int(self.headers['Content-Length']))):08x}"
        try:
            LAST.parent.mkdir(exist_ok=True)
            LAST.write_text(found)
        except OSError as error:
            return self.answer(500, str(error))
        self.answer(200, found)

    def answer(self, status, text):
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Sums).serve_forever()
