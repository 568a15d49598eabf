FROM eclipse-temurin:17-jdk AS build
WORKDIR /app
COPY src/ src/
RUN javac -d classes src/*.java && jar --create --file notes.jar --main-class Notes -C classes .

FROM eclipse-temurin:17-jre
WORKDIR /app
COPY --from=build /app/classes/ classes/
EXPOSE 8080
CMD ["java", "-jar", "notes.jar"]
