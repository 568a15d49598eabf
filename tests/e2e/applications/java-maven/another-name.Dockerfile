FROM maven:3.8-eclipse-temurin-17 AS build
WORKDIR /app
COPY pom.xml .
COPY src ./src
RUN mvn -B package

FROM eclipse-temurin:17-jre
WORKDIR /app
COPY --from=build /app/target/menu-1.0.jar app.jar
EXPOSE 8080
USER 10001
CMD ["java", "-jar", "target/menu-1.0.jar"]
