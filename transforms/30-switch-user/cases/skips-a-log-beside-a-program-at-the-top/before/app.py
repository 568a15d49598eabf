from http.server import HTTPServer, SimpleHTTPRequestHandler

log = open("visits.log", "a")
HTTPServer(("", 8000), SimpleHTTPRequestHandler).serve_forever()
