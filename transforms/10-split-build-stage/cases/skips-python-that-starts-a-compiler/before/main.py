import subprocess
subprocess.run(["gcc", "judge.c", "-o", "/tmp/x"])
