"""A guest book: names in the volume at /data, and beside the code the last one."""

import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOK = pathlib.Path("/data/guests.txt")
LAST = pathlib.Path(__file__).parent / "last.txt"


class Guests(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            self.answer(200, (LAST if self.path == "/last" else BOOK).read_text())
        except OSError as error:
            self.answer(500, str(error))

    def do_POST(self):
        name = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            with BOOK.open("a") as file:
                file.write(name + "\n")
            LAST.write_text(name)
            self.answer(201, BOOK.read_text())
        except OSError as error:
            self.answer(500, str(error))

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8080), Guests).serve_forever()
