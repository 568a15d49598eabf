import os

with open(os.environ["KEY_PATH"]) as key:
    print(key.read())
