package com.example;

import java.nio.file.Files;
import java.nio.file.Path;

public class Hello {
    public static void main(String[] args) throws Exception {
        System.out.println(Files.readString(Path.of("greeting.txt")));
    }
}
