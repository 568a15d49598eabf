FROM ruby:3.1 AS build
WORKDIR /app
COPY gems/ gems/
RUN cd gems/tally && gem build tally.gemspec && gem install --local tally-1.0.0.gem
COPY Gemfile Gemfile.lock ./
RUN bundle install --local

FROM ruby:3.1-slim
WORKDIR /app
COPY --from=build /usr/local/bundle/ /usr/local/bundle/
COPY . .
EXPOSE 4567
CMD ["bundle", "exec", "ruby", "app.rb"]
