//! A large repository in which everything is as it should be.

use std::fs;
use std::path::Path;

/// Manifests in the tree, each with two objects.
pub(crate) const MANIFESTS: usize = 5_000;

/// Dockerfiles in the tree; each builds the image of some of the manifests.
pub(crate) const DOCKERFILES: usize = 1_000;

/// Writes the tree below `root`.
pub(crate) fn write(root: &Path) {
    for index in 0..MANIFESTS {
        let folder = root.join(format!("deploy/team-{:02}", index % 50));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("app-{index:04}.yaml")), manifest(index)).unwrap();
    }
    for index in 0..DOCKERFILES {
        let folder = root.join(format!("services/service-{index:04}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Dockerfile"), dockerfile(index)).unwrap();
    }
}

/// A Deployment and its Service. Every fifth runs an image that is built in the tree.
pub(crate) fn manifest(index: usize) -> String {
    let name = format!("app-{index:04}");
    let digest = format!("{index:064x}");
    let image = match index % 5 {
        0 => format!("registry.example/shop/service-{:04}:1.{}", index / 5, index % 7),
        _ => format!("registry.example/vendor/{name}:2.{}@sha256:{digest}", index % 9),
    };
    let replicas = 1 + index % 4;
    let port = 8000 + index % 100;
    format!(
        "# {name}: generated, but in the shape of what people write
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: {name}
    app.kubernetes.io/part-of: \"shop\"
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {name}
      annotations:
        prometheus.io/scrape: 'true'
    spec:
      containers:
        - name: app
          image: {image}
          args: [\"--listen\", \"0.0.0.0:{port}\", \"--verbose\"]
          env:
            - name: DATABASE_URL
              valueFrom:
                secretKeyRef:
                  name: {name}
                  key: url
            - name: FEATURES
              value: \"search,cart\"   # reviewed every quarter
          ports:
            - name: http
              containerPort: {port}
          readinessProbe:
            httpGet: {{path: /healthz, port: http}}
            periodSeconds: 5
          resources:
            requests:
              cpu: 50m
              memory: 64Mi
            limits:
              memory: 256Mi
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            allowPrivilegeEscalation: false
            capabilities:
              drop:
                - ALL
            seccompProfile:
              type: RuntimeDefault
          volumeMounts:
            - name: scratch
              mountPath: /tmp
      volumes:
        - name: scratch
          emptyDir: {{}}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app.kubernetes.io/name: {name}
  ports:
    - name: http
      port: 80
      targetPort: http
"
    )
}

/// Two stages and a numeric user.
pub(crate) fn dockerfile(index: usize) -> String {
    let digest = format!("{index:064x}");
    let port = 8000 + (index * 5) % 100;
    format!(
        "# syntax=docker/dockerfile:1
FROM golang:1.24@sha256:{digest} AS build

# Modules first, so that they are cached.
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \\
    go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /bin/service-{index:04} ./cmd/service

FROM gcr.io/distroless/static-debian13:nonroot@sha256:{digest}
COPY --from=build /bin/service-{index:04} /service
EXPOSE {port}
USER 65532:65532
ENTRYPOINT [\"/service\"]
"
    )
}
