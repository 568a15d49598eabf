hosts = open("/etc/hosts", "a")
