log = open("/var/log/app.log", "a")
