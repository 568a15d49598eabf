FROM rust:1.63-bookworm AS build
WORKDIR /usr/src/app
COPY . .
RUN cargo build --release

FROM scratch
COPY --from=build /usr/src/app/target/release/shortener /shortener
EXPOSE 8080
USER 65532
CMD ["/shortener"]
