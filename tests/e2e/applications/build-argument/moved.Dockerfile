FROM golang:1.19 AS build
ARG RELEASE=2024.7
WORKDIR /src
COPY go.mod main.go ./
RUN CGO_ENABLED=0 go build -o /usr/local/bin/about .

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /usr/local/bin/about /usr/local/bin/about
ENV RELEASE=${RELEASE}
EXPOSE 8080
CMD ["/usr/local/bin/about"]
