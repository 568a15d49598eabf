const fs = require("fs");
const http = require("http");
const path = require("path");

const folder = path.join(__dirname, "dist");
http
  .createServer((request, response) => {
    const file = path.join(folder, path.normalize(request.url));
    response.end(fs.readFileSync(fs.existsSync(file) && fs.statSync(file).isFile() ? file : path.join(folder, "index.html")));
  })
  .listen(3000);
