// Greeting cards; the last name that was given is kept in a file.
const fs = require("fs");
const http = require("http");
const path = require("path");
const mustache = require("mustache");

const file = path.join(__dirname, "name.txt");

function card() {
  const name = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "nobody";
  return mustache.render(fs.readFileSync(path.join(__dirname, "card.mustache"), "utf8"), { name });
}

const server = http.createServer((request, response) => {
  if (request.method !== "POST") {
    return response.end(card());
  }
  let name = "";
  request.on("data", (chunk) => (name += chunk));
  request.on("end", () => {
    fs.writeFileSync(file, name.trim());
    response.writeHead(201);
    response.end(card());
  });
});

server.listen(3000);
