Gem::Specification.new do |spec|
  spec.name = "tally"
  spec.version = "1.0.0"
  spec.summary = "Counts words in an SQLite database, from C"
  spec.authors = ["Example"]
  spec.files = Dir["ext/**/*", "lib/**/*"]
  spec.extensions = ["ext/tally/extconf.rb"]
end
