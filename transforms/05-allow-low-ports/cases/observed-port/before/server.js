const port = require("./settings.json").port;
require("http").createServer((request, response) => response.end("hello\n")).listen(port);
