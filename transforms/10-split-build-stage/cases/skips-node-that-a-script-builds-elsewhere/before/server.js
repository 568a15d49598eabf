const express=require('express'); const a=express(); a.use(express.static('/srv/www')); a.listen(3000)
