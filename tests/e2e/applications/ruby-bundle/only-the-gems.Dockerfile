FROM ruby:3.1-slim AS build
WORKDIR /app
COPY Gemfile Gemfile.lock ./
COPY gems/ gems/
RUN bundle install

FROM ruby:3.1-slim
WORKDIR /app
COPY --from=build /usr/local/bundle/ /usr/local/bundle/
COPY Gemfile Gemfile.lock app.rb ./
EXPOSE 4567
CMD ["bundle", "exec", "ruby", "app.rb"]
