create table notes (line text);
