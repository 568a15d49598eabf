module example.com/app

go 1.24

require k8s.io/client-go v0.32.0
