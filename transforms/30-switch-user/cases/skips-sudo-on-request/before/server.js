const { exec } = require("child_process");
require("http")
  .createServer((_, answer) => exec("sudo uptime", (_, out) => answer.end(out)))
  .listen(3000);
