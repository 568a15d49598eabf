from http.server import HTTPServer, SimpleHTTPRequestHandler
import subprocess

subprocess.run(["sudo", "sysctl", "-w", "net.core.somaxconn=1024"], check=True)
HTTPServer(("", 8000), SimpleHTTPRequestHandler).serve_forever()
