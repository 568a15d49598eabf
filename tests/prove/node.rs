//! An engine as a node: a small cluster by the rules of a kubelet, with podman and with docker.

use crate::support::engine::{ENGINES, PrivateEngine};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;
use unroot::config::ProbeEntry;
use unroot::prove::engine::{EngineNode, Kind};
use unroot::prove::judge::{Breakdown, Settings, Trial, Trouble, Verdict};
use unroot::prove::kubelet::ImageVolumes;
use unroot::prove::node::Disks;
use unroot::prove::objects::Objects;

fn objects(yaml: &str) -> Objects {
    let documents: Vec<Value> =
        serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap()).collect();
    Objects::read(&documents).unwrap()
}

/// Runs a test with every engine that can be had, at the same time, each on a node that is gone with everything of it afterwards.
fn on_every_engine(images: &[(&str, &str)], test: impl Fn(&PrivateEngine, &EngineNode) + Sync) {
    let on = |kind: Kind| {
        let Some(engine) = PrivateEngine::start(kind) else { return };
        engine.busybox("tools", "RUN [\"/bin/mkdir\", \"-p\", \"/in/changed\"]");
        for (name, lines) in images {
            engine.busybox(name, lines);
        }
        // Docker's client hands this to every container that it starts.
        let proxies =
            r#"{"proxies": {"default": {"httpProxy": "http://127.0.0.1:1", "allProxy": "http://127.0.0.1:1"}}}"#;
        fs::write(engine.scratch().with_file_name("config").join("config.json"), proxies).unwrap();
        let before = engine.inventory();
        let folder = tempfile::tempdir_in(engine.scratch()).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_unroot"));
        let node = EngineNode::new(&engine.engine("t1"), folder.path(), program).unwrap();
        test(&engine, &node);
        drop(node);
        assert_eq!(engine.inventory(), before, "{kind}");
        let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    };
    thread::scope(|scope| {
        for kind in &ENGINES {
            scope.spawn(|| on(*kind));
        }
    });
}

fn run(node: &EngineNode, yaml: &str, questions: &[ProbeEntry]) -> Verdict {
    let objects = objects(yaml);
    // Where nothing is asked, it need only stay up.
    let watched = if questions.is_empty() { (0..objects.workloads.len()).collect() } else { BTreeSet::new() };
    let trial = Trial {
        node,
        objects: &objects,
        questions,
        left_out: &BTreeSet::new(),
        watched: &watched,
        asks_ports: true,
        image_volumes: ImageVolumes::Writable,
        disks: Disks::New,
        patience: Duration::from_secs(20),
        stay: Duration::from_secs(1),
    };
    trial.run().unwrap()
}

fn holds(node: &EngineNode, yaml: &str, questions: &[ProbeEntry]) -> (Vec<String>, Vec<Settings>) {
    match run(node, yaml, questions) {
        Verdict::Holds { bodies, settings, .. } => (bodies, settings),
        Verdict::Fails(breakdown) => panic!("{breakdown}"),
    }
}

fn fails(node: &EngineNode, yaml: &str) -> Breakdown {
    match run(node, yaml, &[]) {
        Verdict::Holds { .. } => panic!("it holds"),
        Verdict::Fails(breakdown) => *breakdown,
    }
}

fn get(service: &str, path: &str) -> ProbeEntry {
    serde_json::from_value(serde_json::json!({"service": service, "path": path})).unwrap()
}

/// Two pods, one of which reaches the other by a Service's name. Each file that is served tells of one rule.
const CLUSTER: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data: {greeting: "hello", index.html: "the map"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {word: "s3cret", lines: "one\ntwo", quoted: '"x" '}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 2000, supplementalGroups: [3000]}
      initContainers:
        - name: prepare
          image: tools
          command: ["sh", "-ec", "cd /work; id >id; ls -ldn . >folder; umask 077; ps >processes; chmod a+r *"]
          volumeMounts: [{name: work, mountPath: /work}]
      containers:
        - name: app
          image: site
          workingDir: /not/there
          args: ["sh", "-ec", "cd /work; pwd >pwd; env | sort >env; hostname >name; cat /etc/hosts >hosts; grep -E 'Cap|Groups' /proc/self/status >status;
            cat /conf/a/greeting >greeting; ls -ln /conf/a/ >mode; (touch /made 2>&1 || true) >root; (touch /data/new && cat /data/old) >data 2>&1;
            cat /etc/passwd >accounts; exec httpd -f -p 8080 -h /work"]
          env:
            - {name: WORD, valueFrom: {secretKeyRef: {name: keys, key: word}}}
            - {name: LINES, valueFrom: {secretKeyRef: {name: keys, key: lines}}}
            - {name: QUOTED, valueFrom: {secretKeyRef: {name: keys, key: quoted}}}
            - {name: TERM, value: mine}
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {exec: {command: ["test", "-s", "/work/data"]}}
          livenessProbe: {httpGet: {path: /pwd, port: http}}
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: work, mountPath: /work}
            - {name: texts, mountPath: /conf/a}
      volumes:
        - {name: work, emptyDir: {}}
        - {name: texts, configMap: {name: texts, defaultMode: 288}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
    - name: app
      image: tools
      command: ["sh", "-c", "until wget -q -O /seen http://web.default.svc/greeting; do sleep 0.2; done; mkdir -p /a/b; touch /a/b/c /bin/gone; rm /bin/gone; chmod 1777 /in/changed; sleep 100"]
      readinessProbe: {exec: {command: ["grep", "-q", "hello", "/seen"]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      containers: [{name: app, image: tools, command: ["wget", "-q", "-O", "/dev/null", "http://web/greeting"]}]
"#;

const SITE: &str = r#"RUN ["/bin/sh", "-c", "mkdir /data /etc; echo old >/data/old; chown -R 1000:1000 /data; echo app:x:1000:1000::/:/bin/sh >/etc/passwd; echo more:x:4000:app >/etc/group"]
VOLUME /data
ENV FROM_IMAGE=yes
ENTRYPOINT ["/bin/busybox"]
CMD ["false"]
HEALTHCHECK CMD false"#;

#[test]
fn a_small_cluster_runs_by_the_rules_of_a_kubelet() {
    on_every_engine(&[("site", SITE)], |engine, node| {
        let asked =
            ["id", "folder", "pwd", "env", "name", "hosts", "status", "greeting", "mode", "root", "data", "accounts"];
        let questions: Vec<ProbeEntry> = asked.iter().map(|file| get("web:80", &format!("/{file}"))).collect();
        let (bodies, settings) = holds(node, CLUSTER, &questions);
        let body = |name: &str| bodies[asked.iter().position(|asked| *asked == name).unwrap()].as_str();
        let kind = engine.kind;
        for (name, expected) in [
            ("pwd", "/work\n"),
            ("name", "web\n"),
            ("greeting", "hello"),
            ("data", "old\n"),
            ("accounts", "app:x:1000:1000::/:/bin/sh\n"),
        ] {
            assert_eq!(body(name), expected, "{kind}: {name}");
        }
        // No account of the image is the init container's user, and group 0 is what a runtime gives then.
        assert!(body("id").starts_with("uid=1000 gid=0"), "{kind}: {}", body("id"));
        assert!(
            body("folder").starts_with("drwxrwsrwx") && body("folder").contains(" 2000 "),
            "{kind}: {}",
            body("folder")
        );
        assert!(body("mode").contains("-r--r----- ") && body("mode").contains(" 2000 "), "{kind}: {}", body("mode"));
        assert!(body("root").contains("Read-only file system"), "{kind}: {}", body("root"));
        let env: Vec<&str> = body("env").lines().collect();
        for line in [
            "WORD=s3cret",
            "LINES=one",
            "two",
            "QUOTED=\"x\" ",
            "TERM=mine",
            "FROM_IMAGE=yes",
            "HOSTNAME=web",
            "HOME=/",
        ] {
            assert!(env.contains(&line), "{kind}: {line}: {env:?}");
        }
        assert!(!env.contains(&"container=podman"), "{env:?}");
        assert!(!body("env").to_lowercase().contains("_proxy="), "{kind}: {env:?}");
        let hosts = body("hosts");
        assert!(
            hosts.contains("\tweb.default.svc.cluster.local\n") && hosts.contains("127.0.0.1\tlocalhost"),
            "{hosts}"
        );
        assert_eq!(hosts.lines().count(), 7, "{kind}: {hosts}");
        let status: Vec<&str> = body("status").split_whitespace().collect();
        let groups: Vec<&str> = status[1..].iter().copied().take_while(|word| !word.starts_with("Cap")).collect();
        assert!(["2000", "3000", "4000"].iter().all(|group| groups.contains(group)), "{kind}: {groups:?}");
        for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            let at = status.iter().position(|word| *word == capabilities).unwrap();
            assert_eq!(status[at + 1], "0000000000000000", "{kind}: {capabilities}");
        }

        let app = settings.iter().find(|settings| settings.container == "web/app").unwrap();
        let seen = app.seen.as_ref().unwrap();
        assert_eq!((seen.uid, seen.gid, seen.effective, seen.bounding, seen.ambient), (1000, 1000, 0, 0, 0), "{kind}");
        assert!(seen.no_new_privileges && seen.seccomp, "{kind}");
        assert_eq!(app.writes, [].into(), "{kind}");
        let client = settings.iter().find(|settings| settings.container == "client/app").unwrap();
        assert_eq!(client.writes, ["/", "/in"].map(str::to_owned).into(), "{kind}");
        let folder = |folder: &str| client.changes.get(folder).cloned().unwrap_or_default();
        assert_eq!((folder("/").made, folder("/").changed), (["a".to_owned()].into(), true), "{kind}");
        assert!(folder("/in/changed").changed && folder("/in/changed").holds == Some([].into()), "{kind}");
        let seen = client.seen.as_ref().unwrap();
        assert_eq!((seen.uid, seen.effective, seen.bounding), (0, 0xa804_25fb, 0xa804_25fb), "{kind}");
    });
}

fn pod(container: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n    - {container}\n")
}

#[test]
fn what_a_cluster_refuses_is_refused() {
    on_every_engine(&[("named", "USER app")], |engine, node| {
        let kind = engine.kind;
        let low_port =
            r#"{name: app, image: tools, command: [httpd, -f, -p, "80"], securityContext: {runAsUser: 1000}}"#;
        let failed = fails(node, &pod(low_port));
        assert!(failed.said.contains("Permission denied"), "{kind}: {failed}");
        assert_eq!((failed.trouble, failed.settings[0].restarts), (Trouble::Ended { code: 1 }, 3), "{kind}");
        // A capability that is added gives a user other than root nothing, and podman would make it ambient.
        let added = low_port
            .replace("{runAsUser: 1000}", "{runAsUser: 1000, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}");
        assert!(fails(node, &pod(&added)).said.contains("Permission denied"), "{kind}");
        let sysctl = format!(
            "{}  securityContext: {{sysctls: [{{name: net.ipv4.ip_unprivileged_port_start, value: \"0\"}}]}}\n",
            pod(low_port)
        );
        holds(node, &sysctl, &[]);

        let pieces = "printf 'sh: 1: ' >&2; sleep 0.2; printf 'it: ' >&2; sleep 0.2; echo 'not found' >&2; sleep 0.2; echo and on; exit 127";
        let failed = fails(node, &pod(&format!("{{name: app, image: tools, command: [sh, -c, \"{pieces}\"]}}")));
        assert!(failed.said.ends_with("sh: 1: it: not found\nand on"), "{kind}: {failed}");

        let absent = fails(node, &pod("{name: app, image: tools, command: [no-such-program]}"));
        assert_eq!(absent.trouble, Trouble::Ended { code: 128 }, "{kind}");
        assert!(absent.said.contains("no-such-program"), "{kind}: {absent}");
        let named = fails(node, &pod("{name: app, image: named, command: [sleep, \"9\"]}"));
        assert!(named.reason.contains("unable to find user app"), "{kind}: {named}");
        let adds =
            "{name: app, image: tools, command: [sleep, \"9\"], securityContext: {capabilities: {add: [SYS_ADMIN]}}}";
        let (_, given) = holds(node, &pod(adds), &[]);
        assert_eq!(given[0].config.capabilities.len(), 14, "{kind}: what it adds is not given");
        let gone = fails(node, &pod("{name: app, image: \"127.0.0.1:1/gone:1\"}"));
        assert_eq!(gone.trouble, Trouble::Image, "{kind}: {gone}");
    });
}
