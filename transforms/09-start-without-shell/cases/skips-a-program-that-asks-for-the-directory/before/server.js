const root = process.env.PWD;
require("http").createServer((_, answer) => answer.end(root)).listen(3000);
