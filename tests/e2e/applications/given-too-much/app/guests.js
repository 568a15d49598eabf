const fs = require("fs");
const book = "/data/guests";
require("http")
  .createServer((request, response) => {
    if (request.method === "POST") fs.appendFileSync(book, request.url.slice(1) + "\n");
    response.end(fs.readFileSync(book, "utf8"));
  })
  .listen(8080, () => fs.appendFileSync(book, ""));
