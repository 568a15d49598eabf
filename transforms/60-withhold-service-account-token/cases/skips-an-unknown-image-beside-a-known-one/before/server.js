require("http").createServer((_, reply) => reply.end("hello\n")).listen(3000);
