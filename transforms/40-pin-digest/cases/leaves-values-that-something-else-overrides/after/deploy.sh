helm upgrade --install shop ./chart --set commanded.tag="$TAG"
