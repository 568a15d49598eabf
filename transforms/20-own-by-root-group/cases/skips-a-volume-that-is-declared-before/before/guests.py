with open("/var/lib/guests/book", "a") as book:
    book.write("hello\n")
