from kubernetes import client, config

config.load_incluster_config()
