"""A small text service."""

import hashlib
import os
import tempfile

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def index():
    return jsonify(service="text", version="1.0")


@app.get("/healthz")
def healthz():
    return jsonify(status="ok")


@app.post("/words")
def words():
    document = request.get_json(silent=True)
    text = document.get("text") if isinstance(document, dict) else None
    if not isinstance(text, str):
        return jsonify(error="text is required"), 400
    return jsonify(words=len(text.split()), lines=len(text.splitlines()))


@app.post("/checksum")
def checksum():
    # Large bodies do not belong in memory, so they go through a file.
    with tempfile.NamedTemporaryFile(dir="/tmp", prefix="upload-") as spool:
        while chunk := request.stream.read(64 * 1024):
            spool.write(chunk)
        spool.flush()
        spool.seek(0)
        digest = hashlib.file_digest(spool, "sha256").hexdigest()
    return jsonify(sha256=digest, bytes=request.content_length or 0)


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", "5000")))
