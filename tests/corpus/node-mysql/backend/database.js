const mysql = require("mysql2/promise");

const RETRY_MILLISECONDS = 1000;

const pool = mysql.createPool({
  host: process.env.DB_HOST || "localhost",
  user: process.env.DB_USER,
  password: process.env.DB_PASSWORD,
  database: process.env.DB_NAME,
  connectionLimit: 5,
});

let ready = false;

// The database often starts after the application, so the first connection is tried until it works.
async function connect() {
  while (!ready) {
    try {
      await pool.query(
        "CREATE TABLE IF NOT EXISTS entries (" +
          "id INT AUTO_INCREMENT PRIMARY KEY, " +
          "author VARCHAR(80) NOT NULL, " +
          "message VARCHAR(500) NOT NULL)"
      );
      ready = true;
      console.log("connected to the database");
    } catch (error) {
      console.log(`the database is not ready: ${error.code}`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
    }
  }
}

async function ping() {
  if (!ready) {
    throw new Error("not connected yet");
  }
  await pool.query("SELECT 1");
}

async function entries() {
  const [rows] = await pool.query("SELECT id, author, message FROM entries ORDER BY id");
  return rows;
}

async function add(author, message) {
  const [result] = await pool.query("INSERT INTO entries (author, message) VALUES (?, ?)", [author, message]);
  return { id: result.insertId, author, message };
}

module.exports = { connect, ping, entries, add };
