require("http").createServer().listen("/app/http.sock");
