const debug = require("debug");
const http = require("node:http");
http.createServer().listen(3000, () => debug("up"));
