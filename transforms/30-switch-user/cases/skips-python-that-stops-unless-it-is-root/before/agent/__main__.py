import os
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("start this as root")
        sys.exit(1)
    HTTPServer(("", 8000), SimpleHTTPRequestHandler).serve_forever()
