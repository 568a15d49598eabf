# Counts votes: POST / with a name.
require "socket"
require "tally"

Dir.mkdir("db") unless Dir.exist?("db")
server = TCPServer.new("0.0.0.0", Integer(ENV.fetch("PORT", "4567")))
$stdout.sync = true
puts "votes listening"
loop do
  client = server.accept
  request = client.gets.to_s
  length = 0
  while (header = client.gets) && header != "\r\n"
    length = Integer(header.split(":").last) if header.downcase.start_with?("content-length:")
  end
  begin
    status, body = "200 OK", "vote by POST"
    if request.start_with?("POST")
      name = client.read(length)
      status, body = "201 Created", "#{name}: #{Tally.count("db/votes.sqlite", name)}"
    end
  rescue StandardError => error
    status, body = "500 Internal Server Error", error.message
    warn body
  end
  client.write("HTTP/1.1 #{status}\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}")
  client.close
end
