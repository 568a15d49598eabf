const fs = require("fs");
require("http").createServer((request, response) => {
  fs.appendFileSync(process.env.LOG || "/srv/log/requests", request.url + "\n");
  response.end("hello\n");
}).listen(8080);
