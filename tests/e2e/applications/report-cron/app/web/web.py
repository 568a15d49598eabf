"""Shows the last report."""

import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPORT = pathlib.Path("/reports/report.txt")


class Reports(BaseHTTPRequestHandler):
    def do_GET(self):
        text = REPORT.read_text() if REPORT.exists() else "no report yet\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Reports).serve_forever()
