#include <ruby.h>
#include <sqlite3.h>

/* Runs one statement with a word in it; the number in its last row, or 0. */
static long run(sqlite3 *database, const char *sql, const char *word) {
    sqlite3_stmt *statement;
    long found = 0;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        rb_raise(rb_eRuntimeError, "%s", sqlite3_errmsg(database));
    if (word)
        sqlite3_bind_text(statement, 1, word, -1, SQLITE_TRANSIENT);
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW)
        found = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    if (result != SQLITE_DONE)
        rb_raise(rb_eRuntimeError, "%s", sqlite3_errmsg(database));
    return found;
}

/* Tally.count(file, word) adds one to the word's count in the file. */
static VALUE count(VALUE self, VALUE file, VALUE word) {
    sqlite3 *database;
    if (sqlite3_open(StringValueCStr(file), &database) != SQLITE_OK)
        rb_raise(rb_eRuntimeError, "%s: unable to open database file", StringValueCStr(file));
    run(database, "CREATE TABLE IF NOT EXISTS words (word TEXT)", NULL);
    run(database, "INSERT INTO words VALUES (?)", StringValueCStr(word));
    long counted = run(database, "SELECT count(*) FROM words WHERE word = ?", StringValueCStr(word));
    sqlite3_close(database);
    return LONG2NUM(counted);
}

void Init_tally(void) {
    rb_define_module_function(rb_define_module("Tally"), "count", count, 2);
}
