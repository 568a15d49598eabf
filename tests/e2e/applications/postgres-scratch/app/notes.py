"""Notes in a database that begins anew with every pod."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pg8000.native


def run(statement, **values):
    connection = pg8000.native.Connection(
        "postgres", host="notes-db", database="notes", password=os.environ["PGPASSWORD"], timeout=5
    )
    try:
        return connection.run(statement, **values)
    finally:
        connection.close()


class Notes(BaseHTTPRequestHandler):
    def do_GET(self):
        self.carefully(lambda: (200, [row[0] for row in run("SELECT text FROM notes ORDER BY id")]))

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.carefully(lambda: (201, run("INSERT INTO notes (text) VALUES (:text) RETURNING id", text=text)[0][0]))

    def carefully(self, work):
        try:
            self.answer(*work())
        except (pg8000.exceptions.InterfaceError, pg8000.exceptions.DatabaseError, OSError) as error:
            self.answer(503, str(error))

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Notes).serve_forever()
