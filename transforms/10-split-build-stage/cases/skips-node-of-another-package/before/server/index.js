const express=require('express'); const pug=require('pug'); express().listen(3000)
