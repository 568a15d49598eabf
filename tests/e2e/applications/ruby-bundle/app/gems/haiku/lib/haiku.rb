module Haiku
  LINES = ["old pond", "a frog leaps in", "the sound of water"].freeze

  def self.line(number)
    LINES[number % LINES.size]
  end
end
