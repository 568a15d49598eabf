#!/bin/sh
keytool -importcert -noprompt -cacerts -storepass changeit -file /certs/ca.crt
exec java -jar shop.jar
