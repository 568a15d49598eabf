const express=require('express'); const a=express(); a.set('view engine', 'pug'); a.listen(3000)
