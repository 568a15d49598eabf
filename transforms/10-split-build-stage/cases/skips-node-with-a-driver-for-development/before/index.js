const {Sequelize}=require('sequelize'); const s=new Sequelize(process.env.DATABASE_URL); const express=require('express'); const a=express(); a.listen(3000)
