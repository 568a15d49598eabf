Gem::Specification.new do |spec|
  spec.name = "haiku"
  spec.version = "1.0.0"
  spec.summary = "Poems"
  spec.authors = ["Example"]
  spec.files = Dir["lib/**/*"]
end
