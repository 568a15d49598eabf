"""Tells how PostgreSQL keeps the password "secret" of a user; the driver asks its C library for that."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from psycopg2.extensions import encrypt_password


class Digests(BaseHTTPRequestHandler):
    def do_GET(self):
        name = unquote(self.path[1:])
        body = encrypt_password("secret", name, algorithm="md5").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8000), Digests).serve_forever()
