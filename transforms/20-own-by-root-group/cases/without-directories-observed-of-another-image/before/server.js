require("http").createServer((request, response) => response.end("hello\n")).listen(process.env.LISTEN || 8080);
