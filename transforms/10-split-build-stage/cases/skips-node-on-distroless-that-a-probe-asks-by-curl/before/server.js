require("http").createServer((_, answer) => answer.end("hi")).listen(3000);
