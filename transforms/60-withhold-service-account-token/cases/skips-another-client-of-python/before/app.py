from lightkube import Client

Client()
