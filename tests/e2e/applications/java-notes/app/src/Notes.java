import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Keeps one note in a file beside the program; it arrives in a temporary file first. */
public class Notes {
    private static final Path NOTE = Path.of("note.txt");

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", Notes::note);
        server.createContext("/version", exchange -> answer(exchange, 200, "Java " + Runtime.version().feature()));
        server.start();
        System.out.println("notes listening on port 8080");
    }

    private static void note(HttpExchange exchange) throws IOException {
        try {
            if (exchange.getRequestMethod().equals("POST")) {
                Path arrived = Files.createTempFile("note", ".txt");
                Files.write(arrived, exchange.getRequestBody().readAllBytes());
                Files.copy(arrived, NOTE, StandardCopyOption.REPLACE_EXISTING);
                Files.delete(arrived);
                answer(exchange, 201, "kept");
            } else if (Files.exists(NOTE)) {
                answer(exchange, 200, Files.readString(NOTE));
            } else {
                answer(exchange, 404, "no note yet");
            }
        } catch (IOException error) {
            System.err.println(error);
            answer(exchange, 500, error.toString());
        }
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = (text + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
