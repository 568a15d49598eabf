<?php
// A guest book: entries are kept in a database file, a picture in an upload folder, the visitor's name in a session.
session_start();
$book = new PDO('sqlite:' . __DIR__ . '/data/guests.sqlite');
$book->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$book->exec('CREATE TABLE IF NOT EXISTS guests (name TEXT)');

if (isset($_FILES['picture'])) {
    if (!move_uploaded_file($_FILES['picture']['tmp_name'], __DIR__ . '/data/picture')) {
        http_response_code(500);
    }
    echo filesize(__DIR__ . '/data/picture'), " bytes\n";
} elseif ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $_SESSION['name'] = trim(file_get_contents('php://input'));
    $book->prepare('INSERT INTO guests VALUES (?)')->execute([$_SESSION['name']]);
    http_response_code(201);
    echo "thank you, {$_SESSION['name']}\n";
} else {
    echo $book->query('SELECT count(*) FROM guests')->fetchColumn(), " guests at {$_SERVER['REQUEST_URI']}\n";
}
