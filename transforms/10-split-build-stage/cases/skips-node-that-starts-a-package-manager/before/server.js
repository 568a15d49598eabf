const { execSync } = require("child_process");
execSync("npx sequelize-cli db:migrate");
require("express")().listen(3000);
