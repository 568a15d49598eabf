"""The nightly report: asks the service for its state and prints one line."""

import json
import os
import sys
import urllib.request

URL = os.environ.get("API_URL", "http://localhost:5000")


def main():
    with urllib.request.urlopen(URL + "/healthz", timeout=10) as response:
        status = json.load(response)["status"]
    print(f"text service: {status}")
    return 0 if status == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
