"""Appends a line to a file in the place that is asked for."""

import pathlib
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACES = {
    "/code": pathlib.Path(__file__).resolve().parent,
    "/log": pathlib.Path("/var/log/writer"),
    "/home": pathlib.Path.home() / ".cache" / "writer",
    "/tmp": pathlib.Path("/tmp"),
    "/data": pathlib.Path("/data"),
}


class Writer(BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            place = PLACES[self.path]
            place.mkdir(parents=True, exist_ok=True)
            with open(place / "lines.txt", "a+") as file:
                file.write("a line\n")
                file.seek(0)
                count = len(file.readlines())
            name = "written" if self.path == "/home" else place
            self.answer(200, f"{name}: {count}\n")
        except Exception:
            traceback.print_exc()
            self.answer(500, "not written\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Writer).serve_forever()
