const express=require('express'); const a=express(); a.use(express.static(__dirname + '/../public')); a.listen(3000)
