require("http")
  .createServer((request, response) => response.end("hello\n"))
  .listen(Number(process.env.PORT || 3000));
