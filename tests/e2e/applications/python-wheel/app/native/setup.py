from setuptools import Extension, setup

setup(name="wordsum", version="1.0", ext_modules=[Extension("wordsum", ["wordsum.c"])])
