import pathlib

print((pathlib.Path.home() / ".config/app/settings.toml").read_text())
