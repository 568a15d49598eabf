# runs on k8s
print("hello")
