bind "unix:///var/run/shop/puma.sock"
