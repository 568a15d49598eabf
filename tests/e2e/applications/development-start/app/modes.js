require("http")
  .createServer((request, response) => response.end(`${process.env.MODE || "no"} mode\n`))
  .listen(8080);
