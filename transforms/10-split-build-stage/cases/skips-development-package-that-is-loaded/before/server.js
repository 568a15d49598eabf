const nodemon = require("nodemon");
