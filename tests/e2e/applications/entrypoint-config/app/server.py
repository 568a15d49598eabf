import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

handler = functools.partial(SimpleHTTPRequestHandler, directory="/etc/greeter")
ThreadingHTTPServer(("", 8080), handler).serve_forever()
