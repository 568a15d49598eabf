"""Notes in a database beside this file."""

import json
import pathlib
import sqlite3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATABASE = pathlib.Path(__file__).resolve().parent / "notes.db"


def connect():
    connection = sqlite3.connect(DATABASE)
    connection.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    return connection


class Notes(BaseHTTPRequestHandler):
    def do_GET(self):
        with connect() as connection:
            rows = connection.execute("SELECT text FROM notes ORDER BY id").fetchall()
        self.answer(200, [text for (text,) in rows])

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with connect() as connection:
            cursor = connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
        self.answer(201, cursor.lastrowid)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    connect().close()
    ThreadingHTTPServer(("", 8000), Notes).serve_forever()
