// A link shortener that keeps its links in one file.
const fs = require("fs");
const http = require("http");
const path = require("path");

const file = path.join(process.env.DATA_DIR || "/tmp", "links.json");

function links() {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : [];
}

function body(request) {
  return new Promise((resolve) => {
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => resolve(text));
  });
}

const server = http.createServer(async (request, response) => {
  try {
    if (request.url === "/whoami") {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ uid: process.getuid() }));
    } else if (request.method === "POST" && request.url === "/links") {
      const all = [...links(), (await body(request)).trim()];
      fs.writeFileSync(file, JSON.stringify(all));
      response.writeHead(201);
      response.end(`/${all.length}\n`);
    } else {
      const target = links()[Number(request.url.slice(1)) - 1];
      response.writeHead(target ? 302 : 404, target ? { Location: target } : {});
      response.end(target ? `${target}\n` : "no such link\n");
    }
  } catch (error) {
    console.error(error.message);
    response.writeHead(500);
    response.end("the links cannot be read or written\n");
  }
});

server.listen(8080, () => console.log(`shortener listening as ${process.getuid()}`));
process.on("SIGTERM", () => process.exit(0));
