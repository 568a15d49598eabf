from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

ThreadingHTTPServer(("", 80), SimpleHTTPRequestHandler).serve_forever()
