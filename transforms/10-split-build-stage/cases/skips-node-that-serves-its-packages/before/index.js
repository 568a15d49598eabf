const express=require('express'); const a=express(); a.use('/vendor', express.static(__dirname+'/node_modules')); a.listen(3000)
