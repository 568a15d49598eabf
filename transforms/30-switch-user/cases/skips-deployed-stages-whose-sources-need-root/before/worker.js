require("child_process").execFileSync("apt-get", ["update"]);
