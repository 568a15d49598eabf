package com.example;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;

/** Serves the menu that is packed into the jar. */
public class Menu {
    public static void main(String[] arguments) throws IOException {
        byte[] menu;
        try (InputStream file = Menu.class.getResourceAsStream("/menu.txt")) {
            menu = file.readAllBytes();
        }
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, menu.length);
            exchange.getResponseBody().write(menu);
            exchange.close();
        });
        server.start();
        System.out.println("menu listening on port 8080");
    }
}
