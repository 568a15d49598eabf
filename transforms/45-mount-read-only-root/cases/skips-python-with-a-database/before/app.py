import sqlite3

sqlite3.connect('notes.db')
