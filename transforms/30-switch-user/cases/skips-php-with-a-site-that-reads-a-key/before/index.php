<?php echo file_put_contents("/var/www/html/count", "1");
