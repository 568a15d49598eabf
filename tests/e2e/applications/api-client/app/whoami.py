"""Says which token it would show to the Kubernetes API."""

import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")


class WhoAmI(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            token = (ACCOUNT / "token").read_text()
            namespace = (ACCOUNT / "namespace").read_text()
            self.answer(200 if token else 401, f"a token of the namespace {namespace}\n")
        except OSError as error:
            self.answer(500, f"{error}\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), WhoAmI).serve_forever()
