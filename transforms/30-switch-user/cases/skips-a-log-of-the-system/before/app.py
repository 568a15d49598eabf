import logging.config
