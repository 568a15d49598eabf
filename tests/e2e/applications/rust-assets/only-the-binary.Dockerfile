FROM rust:1.63-bookworm AS build
WORKDIR /usr/src/app
COPY . .
RUN cargo build --release

FROM gcr.io/distroless/cc-debian12:nonroot
WORKDIR /usr/src/app
COPY --from=build /usr/src/app/target/release/postcards ./target/release/postcards
EXPOSE 8080
CMD ["./target/release/postcards"]
