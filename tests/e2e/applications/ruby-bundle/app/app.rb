# Reads a poem line by line, and keeps the place in a file.
require "socket"
require "haiku"

place = "tmp/place"
server = TCPServer.new("0.0.0.0", 4567)
loop do
  client = server.accept
  while (header = client.gets) && header != "\r\n"; end
  begin
    Dir.mkdir("tmp") unless Dir.exist?("tmp")
    number = File.exist?(place) ? Integer(File.read(place)) : 0
    File.write(place, number + 1)
    status, body = "200 OK", Haiku.line(number)
  rescue SystemCallError => error
    status, body = "500 Internal Server Error", error.message
    warn body
  end
  client.write("HTTP/1.1 #{status}\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}")
  client.close
end
