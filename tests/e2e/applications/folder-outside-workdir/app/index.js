const fs = require("fs");
const http = require("http");

http
  .createServer((request, response) => {
    try {
      fs.writeFileSync(`${process.env.UPLOADS}/file`, "kept");
      response.end(fs.readFileSync(`${process.env.UPLOADS}/file`));
    } catch (error) {
      response.writeHead(500);
      response.end(error.message);
    }
  })
  .listen(8080);
