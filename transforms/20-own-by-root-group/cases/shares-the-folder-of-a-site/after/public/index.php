<?php file_put_contents("../cache/time", time());
