<?php
// Computes once, and keeps the result in a file of the cache.
$file = '/var/cache/pages/' . md5($_SERVER['REQUEST_URI']);
if (!file_exists($file)) {
    file_put_contents($file, strrev(basename($_SERVER['REQUEST_URI']))) or http_response_code(500);
    echo 'computed: ', file_get_contents($file), "\n";
} else {
    echo 'from the cache: ', file_get_contents($file), "\n";
}
