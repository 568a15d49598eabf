const express = require("express");
const database = require("./database");

const port = Number(process.env.PORT || 3000);
const app = express();
app.use(express.json());

app.get("/", (request, response) => {
  response.json({ service: "guestbook", version: "1.0.0" });
});

app.get("/healthz", async (request, response) => {
  try {
    await database.ping();
    response.json({ status: "ok" });
  } catch (error) {
    response.status(503).json({ status: "waiting for the database" });
  }
});

app.get("/entries", async (request, response, next) => {
  try {
    response.json(await database.entries());
  } catch (error) {
    next(error);
  }
});

app.post("/entries", async (request, response, next) => {
  const { author, message } = request.body;
  if (!author || !message) {
    response.status(400).json({ error: "author and message are required" });
    return;
  }
  try {
    response.status(201).json(await database.add(author, message));
  } catch (error) {
    next(error);
  }
});

app.use((error, request, response, next) => {
  console.error(error.message);
  response.status(500).json({ error: "the database did not answer" });
});

const server = app.listen(port, () => {
  console.log(`guestbook listening on port ${port}`);
});

database.connect();

process.on("SIGTERM", () => {
  server.close();
  process.exit(0);
});
