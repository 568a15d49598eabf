FROM golang:1.19 AS build
WORKDIR /src
COPY go.mod main.go ./
RUN CGO_ENABLED=0 go build -o /usr/local/bin/tides .

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /usr/local/bin/tides /usr/local/bin/tides
EXPOSE 8080
CMD ["/usr/local/bin/tides"]
