import tempfile

with tempfile.TemporaryFile() as file:
    file.write(b'hello')
