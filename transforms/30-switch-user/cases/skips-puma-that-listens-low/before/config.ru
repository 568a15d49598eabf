run ->(env) { [200, {}, ["hello"]] }
