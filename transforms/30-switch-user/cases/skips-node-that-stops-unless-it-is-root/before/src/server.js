const http = require("http");
if (process.getuid() !== 0) {
  console.error("start this as root");
  process.exit(1);
}
http.createServer((_, answer) => answer.end("hi")).listen(3000);
