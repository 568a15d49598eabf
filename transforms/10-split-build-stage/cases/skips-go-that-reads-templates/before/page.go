package main

import "html/template"

var page = template.Must(template.ParseFiles("page.html"))
