"""Bookings in one database, and what was done to them in another."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pg8000.native


def connect(database):
    return pg8000.native.Connection(
        "postgres", host=database + "-db", database=database, password=os.environ["PGPASSWORD"], timeout=5
    )


def run(database, statement, **values):
    connection = connect(database)
    try:
        return connection.run(statement, **values)
    finally:
        connection.close()


class Bookings(BaseHTTPRequestHandler):
    def do_GET(self):
        statements = {
            "/bookings": ("bookings", "SELECT guest FROM bookings ORDER BY id"),
            "/audit": ("audit", "SELECT line FROM audit ORDER BY id"),
            "/ready": ("audit", "SELECT 'ready'"),
        }
        if self.path not in statements:
            return self.answer(404, "no such page")
        self.carefully(lambda: (200, [row[0] for row in run(*statements[self.path])]))

    def do_POST(self):
        guest = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.carefully(lambda: (201, self.book(guest)))

    def book(self, guest):
        [[number]] = run("bookings", "INSERT INTO bookings (guest) VALUES (:guest) RETURNING id", guest=guest)
        run("audit", "INSERT INTO audit (line) VALUES (:line)", line="booked: " + guest)
        return number

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
    ThreadingHTTPServer(("", 8000), Bookings).serve_forever()
