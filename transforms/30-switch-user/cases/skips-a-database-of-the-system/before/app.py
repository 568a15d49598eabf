URL = "sqlite:////var/lib/jobs.db"
