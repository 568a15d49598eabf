// What the pages need to know of where they run is written beside them before they are served.
const fs = require("fs");

const environment = { BANNER: process.env.BANNER || "no banner" };
fs.writeFileSync(`${__dirname}/dist/environment.js`, `window.environment = ${JSON.stringify(environment)};\n`);
