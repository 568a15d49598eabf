import os
import subprocess

from flask import Flask

app = Flask(__name__)


@app.post("/restart")
def restart():
    subprocess.run(["sudo", "systemctl", "restart", "shop"])
    return "restarting"


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("start this as root")
    app.run()
