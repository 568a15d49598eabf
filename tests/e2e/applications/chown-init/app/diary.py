"""A diary: appends lines to a file, and counts them."""

import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIARY = pathlib.Path("/data/diary.txt")


class Diary(BaseHTTPRequestHandler):
    def do_GET(self):
        self.count()

    def do_POST(self):
        line = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            with open(DIARY, "a") as file:
                file.write(line + "\n")
            self.count()
        except OSError as error:
            self.answer(500, f"{error}\n")

    def count(self):
        count = len(DIARY.read_text().splitlines()) if DIARY.exists() else 0
        self.answer(200, f"{count} line{'s' if count != 1 else ''}\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Diary).serve_forever()
