FROM node:20-alpine@{digest:docker.io/library/node:20-alpine@arm64}
WORKDIR /app
COPY package*.json ./
RUN npm ci
COPY . .
EXPOSE 3000
CMD ["npm", "start"]
