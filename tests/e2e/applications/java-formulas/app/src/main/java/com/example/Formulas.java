package com.example;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.DoubleUnaryOperator;
import javax.tools.ToolProvider;

/** Compiles the formula that is sent to it, and computes it for x = 3, as servers do that compile their templates. */
public class Formulas {
    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            int status = 200;
            String answer;
            try {
                answer = Double.toString(compute(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8)));
            } catch (Exception error) {
                error.printStackTrace();
                status = 500;
                answer = error.toString();
            }
            byte[] body = answer.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    private static double compute(String formula) throws Exception {
        Path folder = Files.createTempDirectory("formula");
        Path source = Files.writeString(folder.resolve("Formula.java"),
            "public class Formula implements java.util.function.DoubleUnaryOperator {"
                + " public double applyAsDouble(double x) { return " + formula + "; } }");
        ToolProvider.getSystemJavaCompiler().run(null, null, null, source.toString());
        try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
            Object made = loader.loadClass("Formula").getDeclaredConstructor().newInstance();
            return ((DoubleUnaryOperator) made).applyAsDouble(3);
        }
    }
}
