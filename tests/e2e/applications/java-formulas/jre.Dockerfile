FROM maven:3.8-eclipse-temurin-17 AS build
WORKDIR /app
COPY pom.xml .
COPY src ./src
RUN mvn -B package

FROM eclipse-temurin:17-jre
WORKDIR /app
COPY --from=build /app/target/formulas-1.0.jar /app/target/formulas-1.0.jar
EXPOSE 8080
USER 10001
ENTRYPOINT ["java", "-jar", "/app/target/formulas-1.0.jar"]
