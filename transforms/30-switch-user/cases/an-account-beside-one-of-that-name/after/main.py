open('/home/app/db.sqlite','w')
